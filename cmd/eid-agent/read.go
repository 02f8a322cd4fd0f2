package main

import (
	"net/http"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// Reading what is written on a card: who its holder is, where they live. It needs no PIN,
// so the window that lists what is read is all that stands between a page and the data: it
// comes each time, whatever was agreed to before (threat T3).

// reading is what is wanted of what is written on the card.
type reading struct {
	commune string // in the page's own words, "" where somebody signs in
	photo   bool
}

// identityRequest is the body of /identity.
type identityRequest struct {
	Commune string `json:"commune"`
	Photo   bool   `json:"photo"`
	Lang    string `json:"lang"`
}

// identity asks for what is written on the card and for nothing else.
func (a *agent) identity(w http.ResponseWriter, r *http.Request, origin string) {
	var req identityRequest
	if err := readJSON(r, &req); err != nil || !communeName(req.Commune) {
		refuse(w, http.StatusBadRequest, "bad_request")
		return
	}
	a.ask(w, &operation{origin: origin, purpose: "identity", lang: language(req.Lang), read: &reading{req.Commune, req.Photo}})
}

// readOnly says that the card is read and signs nothing.
func (o *operation) readOnly() bool { return o.read != nil && o.sign == nil && o.nonce == "" }

// data lists what is read, "" where it is nothing. The address cannot be checked without the
// rest: the Register's signature is over all of it.
func (o *operation) data() string {
	switch {
	case o.read == nil:
		return ""
	case o.read.photo:
		return i18n.T(o.lang, "agent.data_photo")
	}
	return i18n.T(o.lang, "agent.data_list")
}
