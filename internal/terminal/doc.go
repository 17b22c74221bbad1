// Package terminal draws text views that are redrawn in place: colours that
// fit the terminal's theme, bars, sparklines, and a screen that shows a frame
// at once.
package terminal
