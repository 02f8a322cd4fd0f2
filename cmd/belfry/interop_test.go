package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/verapdf"
)

// A paper that a clerk signed with their card and the commune sealed, as it leaves the
// house, before programs that others wrote: still PDF/A-2a and PDF/UA-1, and two
// signatures that both pass.
func TestInteropClerksSign(t *testing.T) {
	python := os.Getenv("BELFRY_INTEROP_PYTHON")
	if python == "" {
		t.Skip("BELFRY_INTEROP_PYTHON names no interpreter with pyHanko: run make interop")
	}
	w := startWorld(t)
	claire, luc := w.clerk("beaumarais", "claire"), newPerson(t)
	order := luc.order(w, "beaumarais", w.card("luc"))
	claire.prepared(order)
	claire.choose(w, "beaumarais", "sign", claire.ready(w, "beaumarais")[idOf(order)])
	if a := claire.signed(w, claire.at.String(), order, w.card("claire")); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.Error)
	}
	pdf := luc.waitIssued(order, 30*time.Second)
	file := filepath.Join(t.TempDir(), "signed.pdf")
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, filepath.Join("..", "..", "signing", "interop", "pyhanko_check.py"), "--trust", w.PKI.Roots, file).Output()
	var said struct {
		Signatures []struct {
			Level, Coverage, Modification, Reason string
			OK                                    bool
		}
	}
	if lost := json.Unmarshal(out, &said); lost != nil || err != nil {
		t.Fatalf("pyHanko: %v: %s", err, out)
	}
	if s := said.Signatures; len(s) != 2 || !s[0].OK || !s[1].OK || s[0].Level != "B-LTA" || s[1].Level != "B-LTA" || s[1].Modification != "LTA_UPDATES" {
		t.Errorf("%+v", s)
	}
	luc.get(order)
	luc.send("proof")
	verapdf.Validate(t, map[string][]byte{"signed by a clerk and sealed": pdf, "a proof of the order": luc.body})
}
