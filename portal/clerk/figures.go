package clerk

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/staff"
	"github.com/belfry-eid/belfry/portal/visit"
)

// How much came in, and how long answers took: a year by month and by paper, as a chart,
// as tables and as a file for a spreadsheet.

// line is a row of a table of figures, in words.
type line struct {
	Name string
	orders.Figure
	Share              string
	MedianIn, DecileIn string
}

// bar is a month of the chart, in units of its picture.
type bar struct {
	X, Late, OnTime, Rest int // left edge; heights, from the bottom up: answered in time, late, neither
	YLate, YOnTime, YRest int
	Middle, Top           int
	Short                 string
	Received              int
}

// channelBar is how many orders came in one way, in units of its picture.
type channelBar struct {
	Name         string
	Count        int
	Y, Text      int // upper edge, line of the text
	Length, Edge int // of the bar; where its number stands
}

type figuresPage struct {
	Year      int
	Years     []page.Link
	File      string
	Total     line
	Months    []line
	Products  []line
	Bars      []bar
	Channels  []channelBar
	Summary   string
	Workloads []orders.Workload // for administrators only
}

func (p *Pages) figures(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	f, err := p.orders.Figures(r.Context(), v.Commune.ID, p.year(r))
	if err != nil {
		return err
	}
	c := figuresPage{Year: f.Year, File: v.To("/desk/figures/file") + "?year=" + strconv.Itoa(f.Year), Total: lineOf(v, v.T("figures.total"), f.Total), Bars: bars(v, f), Channels: channels(v, f.Total)}
	for y := f.First; y <= p.now().In(i18n.Brussels()).Year(); y++ {
		c.Years = append(c.Years, page.Link{Text: strconv.Itoa(y), Href: v.To("/desk/figures") + "?year=" + strconv.Itoa(y), Current: y == f.Year})
	}
	for m, month := range f.Months {
		c.Months = append(c.Months, lineOf(v, i18n.Month(v.Language, time.Month(m+1)), month))
	}
	for _, product := range f.Products {
		c.Products = append(c.Products, lineOf(v, product.Product.Label.In(v.Language), product.Total))
	}
	c.Summary = v.T("figures.summary", "Year", strconv.Itoa(f.Year), "Received", f.Total.Received, "OnTime", f.Total.OnTime, "Late", f.Total.Late)
	if v.Member.Role == staff.Administrator {
		if c.Workloads, err = p.orders.Workloads(r.Context(), v.Commune.ID); err != nil {
			return err
		}
	}
	return p.render(w, http.StatusOK, "figures", v.Frame(w, r, v.T("figures.title")+" "+strconv.Itoa(f.Year)), c)
}

// year is the one that an address asks for, this one where it asks for none.
func (p *Pages) year(r *http.Request) int {
	now := p.now().In(i18n.Brussels()).Year()
	if y, err := strconv.Atoi(r.URL.Query().Get("year")); err == nil && y >= 2000 && y <= now {
		return y
	}
	return now
}

func lineOf(v *visit.Visit, name string, f orders.Figure) line {
	l := line{Name: name, Figure: f, Share: "–", MedianIn: "–", DecileIn: "–"}
	if share, due := f.Share(); due {
		l.Share = strconv.Itoa(int(100*share)) + "\u00a0%"
	}
	if f.Issued+f.Refused > 0 {
		l.MedianIn, l.DecileIn = took(v, f.Median), took(v, f.NinthDecile)
	}
	return l
}

// took is a time in hours, from two days on in days.
func took(v *visit.Visit, d time.Duration) string {
	if d < 48*time.Hour {
		return v.T("figures.hours", "Count", int(d.Round(time.Hour)/time.Hour))
	}
	return v.T("figures.days", "Count", int(d.Round(24*time.Hour)/(24*time.Hour)))
}

const (
	chartHeight = 160 // of the highest bar
	chartTop    = 30  // above it, for its number
	chartStep   = 60  // from a bar to the next
	barWidth    = 40
)

// bars draw the months; the tables say the same in words.
func bars(v *visit.Visit, f orders.Figures) []bar {
	most := 1
	for _, m := range f.Months {
		most = max(most, m.Received)
	}
	var list []bar
	for i, m := range f.Months {
		height := func(n int) int { return n * chartHeight / most }
		bottom := chartTop + chartHeight
		b := bar{X: i*chartStep + 10, Middle: i*chartStep + 10 + barWidth/2, Received: m.Received, Short: i18n.Month(v.Language, time.Month(i+1))}
		b.OnTime, b.Late = height(m.OnTime), height(m.Late)
		b.Rest = max(height(m.Received)-b.OnTime-b.Late, 0)
		b.YOnTime = bottom - b.OnTime
		b.YLate = b.YOnTime - b.Late
		b.YRest = b.YLate - b.Rest
		b.Top = b.YRest - 6
		if short := []rune(b.Short); len(short) > 4 {
			b.Short = string(short[:3]) + "."
		}
		list = append(list, b)
	}
	return list
}

const (
	channelStep   = 34  // from a bar to the next
	channelStart  = 130 // behind the names
	channelLength = 540 // of the longest bar
)

// channels draw how a year's orders came in; the tables say the same in words.
func channels(v *visit.Visit, f orders.Figure) (list []channelBar) {
	all := []struct {
		of    orders.Channel
		count int
	}{{orders.Online, f.Online}, {orders.Counter, f.Counter}, {orders.Phone, f.Phone}, {orders.Post, f.Post}}
	most := 1
	for _, c := range all {
		most = max(most, c.count)
	}
	for i, c := range all {
		length := c.count * channelLength / most
		list = append(list, channelBar{Name: v.T(c.of.Key()), Count: c.count, Y: i*channelStep + 4, Text: i*channelStep + 22, Length: length, Edge: channelStart + length + 8})
	}
	return list
}

// figuresFile is the table of a year for a spreadsheet: each month of each paper that had
// any. Spreadsheets here take a semicolon and, in all languages but English, a decimal
// comma; the mark in front has them read UTF-8.
func (p *Pages) figuresFile(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	f, err := p.orders.Figures(r.Context(), v.Commune.ID, p.year(r))
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("\ufeff")
	out := csv.NewWriter(&text)
	out.Comma, out.UseCRLF = ';', true
	var head []string
	for _, name := range []string{"month", "document", "received", "online", "counter", "phone", "post", "issued", "refused", "cancelled", "open", "on_time", "late", "share", "median_hours", "decile_hours"} {
		head = append(head, v.T("figures.column."+name))
	}
	rows := [][]string{head}
	for _, product := range f.Products {
		for m, month := range product.Months {
			if month.Received > 0 {
				rows = append(rows, record(v, fmt.Sprintf("%04d-%02d", f.Year, m+1), product.Product.Label.In(v.Language), month))
			}
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	web.Note(r, "rows", len(rows))
	return visit.Download(w, fmt.Sprintf("%s-%d.csv", v.Commune.ID, f.Year), "text/csv; charset=utf-8", []byte(text.String()))
}

func record(v *visit.Visit, month, product string, f orders.Figure) []string {
	decimal := func(x float64) string {
		s := strconv.FormatFloat(x, 'f', 1, 64)
		if v.Language != i18n.English {
			s = strings.Replace(s, ".", ",", 1)
		}
		return s
	}
	row := []string{month, product}
	for _, n := range []int{f.Received, f.Online, f.Counter, f.Phone, f.Post, f.Issued, f.Refused, f.Cancelled, f.Open, f.OnTime, f.Late} {
		row = append(row, strconv.Itoa(n))
	}
	share, median, decile := "", "", ""
	if s, due := f.Share(); due {
		share = decimal(100 * s)
	}
	if f.Issued+f.Refused > 0 {
		median, decile = decimal(f.Median.Hours()), decimal(f.NinthDecile.Hours())
	}
	return append(row, share, median, decile)
}
