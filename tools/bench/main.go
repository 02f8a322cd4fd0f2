// Command bench is what `make bench` ends with: a table of Belfry's work, each row
// beside the peer or the raw limit, measured in
// the same run, in turns. It measures and says; it fails only where something does not
// work.
//
// A figure alone is worth little on a machine that others share. What counts is the
// ratio, taken in each round by itself; the table shows the middle one.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "generate":
		err = generate()
	default:
		err = measure()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure() error {
	root := flag.String("root", ".", "Belfry's folder")
	rounds := flag.Int("rounds", 3, "how often everything is measured")
	only := flag.String("only", "", "measure only rows whose work contains this")
	flag.Parse()
	dir, err := os.MkdirTemp("", "belfry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := &workshop{root: *root, dir: dir}
	chosen := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !strings.Contains(r.work, *only) })
	if len(chosen) == 0 {
		return fmt.Errorf("no row is about %q", *only)
	}
	results := make([]result, len(chosen))
	for round := range *rounds {
		w.measured = nil
		for i, r := range chosen {
			fmt.Fprintf(os.Stderr, "bench: round %d of %d: %s beside %s\n", round+1, *rounds, r.work, r.beside)
			ours, err := r.measure(w)
			if err != nil {
				return fmt.Errorf("%s: %w", r.work, err)
			}
			peer, err := r.measureBeside(w)
			if err != nil {
				return fmt.Errorf("%s: %w", r.beside, err)
			}
			results[i].add(ours, peer)
		}
	}
	show(chosen, results)
	return nil
}

// row is one line of the table.
type row struct {
	work, beside           string
	unit                   string
	goal                   float64 // of ours divided by the other's rate; 0 is none
	cost                   bool    // the goal is put as a cost: the inverse, and at most
	measure, measureBeside func(*workshop) (figure, error)
}

// figure is a rate, and how often the work failed.
type figure struct {
	rate          float64
	failed, tried int64
}

// result is what the rounds gave for a row.
type result struct {
	ours, beside, ratios                     []float64
	failed, tried, failedBeside, triedBeside int64
}

func (r *result) add(ours, beside figure) {
	r.ours, r.beside = append(r.ours, ours.rate), append(r.beside, beside.rate)
	r.ratios = append(r.ratios, ours.rate/beside.rate)
	r.failed += ours.failed
	r.tried += ours.tried
}

func median(list []float64) float64 {
	s := slices.Clone(list)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func show(rows []row, results []result) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "work\tours\tbeside\t\tratio\tgoal\tmet\tfailed")
	for i, row := range rows {
		r := results[i]
		ratio, sign := median(r.ratios), "≥"
		met := ratio >= row.goal
		if row.cost {
			ratio, sign = 1/ratio, "≤"
			met = ratio <= row.goal
		}
		goal, verdict, failures := fmt.Sprintf("%s %.2f", sign, row.goal), "no", ""
		if met && r.failed == 0 {
			verdict = "yes"
		}
		if row.goal == 0 {
			goal, verdict = "–", "–"
		}
		if r.tried > 0 {
			failures = fmt.Sprintf("%d of %d", r.failed, r.tried)
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%.2f\t%s\t%s\t%s\n", row.work, number(median(r.ours)), row.unit,
			number(median(r.beside)), row.beside, ratio, goal, verdict, failures)
	}
	t.Flush()
}

func number(f float64) string {
	if f < 100 {
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}
