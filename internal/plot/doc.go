// Package plot draws pictures for pages that load nothing from elsewhere:
// values in, inline SVG out. Colours are classes of the pages' style, so that
// one drawing serves light, dark and paper.
//
// A Plot has two axes, Series of points, Rules at single values (a threshold,
// an alarm) and Bands over ranges of values (what was to be expected). Classes
// name what something means or whose it is:
//
//	c0 c1 c2 c3                        one version, feature or slice each
//	good bad alarm refused promoted    verdicts
//	reference threshold                what the rest is held against
//
// and dashed, beside one of these, is for what was estimated rather than seen.
// A page begins with Head and ends with Foot; drawings stand in figures, tables
// in panels.
package plot

import (
	_ "embed"
	"html/template"
)

// style is for drawings and the pages around them: text, panels, figures, tables
// and tags, in light, dark and on paper.
//
//go:embed style.css
var style string

// Head begins a page of that title, with the style and up to the open main
// element. Pages made of it load nothing from elsewhere.
func Head(title string) template.HTML {
	return template.HTML(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>` + escape(title) + "</title>\n<style>\n" + style + "</style>\n</head>\n<body><main>\n")
}

// Foot ends it.
func Foot() template.HTML { return "</main></body></html>\n" }
