// Package plot draws pictures as SVG: lines, marks and bars over two axes. The
// same values give the same bytes.
//
// # Vocabulary
//
//   - A canvas is a picture with its title and caption.
//   - A frame is a canvas with two axes, ready for lines and marks.
//   - A class is what a shape is; the style of a picture gives it its colours, in
//     light and in dark.
package plot
