package main

import (
	"fmt"
	"io"
	"strings"
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
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", c.PIN, strings.TrimSpace(c.GivenNames+" "+c.Surname), c.Name, c.GoodFor)
	}
	t.Flush()

	w.tellHow(out, d)
}

// tellHow walks a person who knows nothing of Belfry through the main job.
func (w *world) tellHow(out io.Writer, d description) {
	belfry, err := w.program("belfry")
	if err != nil {
		belfry = "belfry"
	}
	fmt.Fprintf(out, `
How to try it, in a browser on this machine:
  1. Order. Open %s and choose the paper, then "Se connecter et commencer",
     then "Lire ma carte". A window of the card reading program opens (allow it, should the
     browser ask). Choose Luc Lambert, type the PIN %s, "Confirmer", then
     "Continuer", "Envoyer la demande".
  2. Approve. A clerk is another person: take another browser, or a private window.
     Sign in with the clerk's card (Claire Dubois, PIN %s), open the order,
     "Préparer le document", read it, "Approuver et apposer le cachet".
`, w.website("beaumarais"), d.PINOf("luc"), d.PINOf("claire"))
	for _, c := range d.Clerks {
		switch {
		case c.Problem != "":
			fmt.Fprintf(out, "       %s: no invitation (%s)\n", c.Name, c.Problem)
		case c.Invitation != "":
			fmt.Fprintf(out, "       %s, the first time (works once): %s\n", c.Name, c.Invitation)
			fmt.Fprintf(out, "       %s, later: %s\n", c.Name, c.Desk)
		default:
			fmt.Fprintf(out, "       %s: %s\n", c.Name, c.Desk)
		}
	}
	fmt.Fprintf(out, `  3. Download. In Luc's window: "Mes demandes", the order, "Télécharger le document".
  4. Check, as a bank would: %s/fr/verify takes the file, or the
     number and code printed on it. Without a browser: %s verify FILE --trust %s
  5. Make something go wrong: %s/#controls
Programs sign in without a browser: POST {origin, nonce, pin} to %s/luc/authenticate.
The operator's commands are belfry check, seal, staff and journal; --config %s
Ctrl-C ends all of it; the next start resumes.
`, w.website("beaumarais"), belfry, w.path("trust"), d.Page, d.Card.URL, d.Belfry.Config)
}

// PINOf is the PIN of a person's card.
func (d description) PINOf(name string) string {
	for _, c := range d.Cards {
		if c.Name == name {
			return c.PIN
		}
	}
	return ""
}
