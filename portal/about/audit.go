package about

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// audit is what the accessibility audit found.
type audit struct {
	standard string
	examined time.Time
	status   string
	short    []map[i18n.Language]string // what falls short
}

// Statuses of the model statement (Commission Implementing Decision (EU) 2018/1523).
var statuses = []string{"full", "partial", "none"}

// readAudit reads the two tables of docs/accessibility-audit.md.
func readAudit(text string) (audit, error) {
	var a audit
	standing := map[string]string{}
	for _, row := range table(text, "Standing") {
		standing[row["what"]] = row["value"]
	}
	a.standard, a.status = standing["standard"], standing["status"]
	var err error
	if a.examined, err = time.ParseInLocation(time.DateOnly, standing["examined"], i18n.Brussels()); err != nil {
		return a, fmt.Errorf("accessibility audit: examined: %w", err)
	}
	if a.standard == "" || !slices.Contains(statuses, a.status) {
		return a, fmt.Errorf("accessibility audit: standard %q, status %q", a.standard, a.status)
	}
	for _, row := range table(text, "What falls short") {
		one := map[i18n.Language]string{}
		for _, l := range i18n.Languages {
			if one[l] = row[string(l)]; one[l] == "" {
				return a, fmt.Errorf("accessibility audit: a shortcoming has no words in %s", l)
			}
		}
		a.short = append(a.short, one)
	}
	if (a.status == "full") != (len(a.short) == 0) {
		return a, fmt.Errorf("accessibility audit: status %q with %d shortcomings", a.status, len(a.short))
	}
	return a, nil
}

// table is the first table below a heading of the second level, by column.
func table(text, heading string) []map[string]string {
	_, rest, _ := strings.Cut(text, "\n## "+heading+"\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	var head []string
	var rows []map[string]string
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if head == nil {
			head = cells
			continue
		}
		row := map[string]string{}
		for i, name := range head {
			if i < len(cells) {
				row[name] = cells[i]
			}
		}
		rows = append(rows, row)
	}
	return rows
}
