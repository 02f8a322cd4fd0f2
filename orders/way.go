package orders

import (
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/orders/catalogue"
)

// Three ways lead to a paper (commune.Way): this program makes it, the register gives it
// with its own seal, or a clerk attaches what the commune's software has made. An order
// keeps the way it was begun on; what the register cannot give comes to a clerk.

// Way is how a commune comes by a product's paper: as it has set, else as the catalogue
// says. Where this install asks no register, or has no source that seals, and in
// a training commune in place of such a source, a clerk attaches it.
func (s *Service) Way(c commune.ID, product string) (commune.Way, error) {
	p, err := s.Product(c, product)
	if err != nil {
		return "", err
	}
	of, err := s.commune(c)
	if err != nil {
		return "", err
	}
	return s.way(of, p), nil
}

func (s *Service) way(of *commune.Commune, p *catalogue.Product) commune.Way {
	w := of.Products[p.ID].Way
	if w == "" {
		w = p.Way
	}
	if w == "" {
		w = commune.Made
	}
	switch {
	case w == commune.FromSource && (of.Training || !s.sealedBy(p)): // what a register seals is good, and bears no mark of ours
		return commune.Attached
	case w == commune.Made && p.Registered() && s.Register == nil:
		return commune.Attached
	}
	return w
}

// sealedBy says whether the register of a product gives its paper sealed.
func (s *Service) sealedBy(p *catalogue.Product) bool {
	_, ok := s.Sources[p.Source]
	return ok && p.Registered()
}
