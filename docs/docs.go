// Package docs hands the program those of its documents that its pages quote.
//
// It owns no text of its own: what is written for people lies beside it, in Markdown.
package docs

import _ "embed"

// AccessibilityAudit is accessibility-audit.md, from which each commune's accessibility
// statement is made.
//
//go:embed accessibility-audit.md
var AccessibilityAudit string
