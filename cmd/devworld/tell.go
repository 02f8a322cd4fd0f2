package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// tell says where everything is and how to walk through it.
func (w *world) tell(out io.Writer) {
	if err := w.writeWorldFile(); err != nil { // now with the clerks' invitations
		fmt.Fprintln(out, "world.json:", err)
	}
	d := w.describe()
	fmt.Fprintln(out)
	for _, c := range []*child{w.belfry, w.agent} {
		if c != nil && c.ended() != "" {
			fmt.Fprintf(out, "!! %s\n   The last of %s:\n%s\n", c.ended(), c.logFile, c.tail())
		}
	}
	t := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "The local world\t%s\n", d.Page)
	for _, c := range d.Communes {
		if c.Installed {
			fmt.Fprintf(t, "Commune %s\t%s\n", c.ID, c.Origins[0])
		}
	}
	fmt.Fprintf(t, "Sign-in (OpenID provider)\t%s\n", d.Provider.Issuers[0])
	fmt.Fprintf(t, "Mail\t%s\n", d.Mail.Page)
	fmt.Fprintf(t, "https\tthe same on port %d; trust %s\n", w.https, d.TLS.CA)
	fmt.Fprintf(t, "For programs\t%s\n", w.path("world.json"))
	t.Flush()

	fmt.Fprintln(out, "\nCards (PIN):")
	t = tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, c := range d.Cards {
		fmt.Fprintf(t, "  %s\t%s %s\t%s\t%s\n", c.PIN, c.GivenNames, c.Surname, c.Name, c.GoodFor)
	}
	t.Flush()

	fmt.Fprintf(out, `
How to try it:
  1. Open %s, order a paper, sign in with the card of "luc" (PIN %s).
     Your browser asks the card reading program, which asks for the PIN. Programs without a
     browser POST {origin, nonce, pin} to %s/luc/authenticate.
  2. Sign in as the clerk "claire" (PIN %s) and approve it:
`, w.website("beaumarais"), pinOf(d, "luc"), d.Card.URL, pinOf(d, "claire"))
	for _, c := range d.Clerks {
		switch {
		case c.Problem != "":
			fmt.Fprintf(out, "     %s: no invitation (%s)\n", c.Name, c.Problem)
		case c.Invitation != "":
			fmt.Fprintf(out, "     %s, the first time, once: %s\n", c.Name, c.Invitation)
		}
		fmt.Fprintf(out, "     %s: %s\n", c.Name, c.Desk)
	}
	fmt.Fprintf(out, `  3. Download the paper and check it on the commune's page, or: belfry verify FILE --trust %s
  4. Make something go wrong: %s/#controls
The operator's commands are belfry check, seal, staff and journal; --config %s
Ctrl-C ends all of it; the next start resumes.
`, w.path("trust"), d.Page, d.Belfry.Config)
}

func pinOf(d description, name string) string {
	for _, c := range d.Cards {
		if c.Name == name {
			return c.PIN
		}
	}
	return ""
}
