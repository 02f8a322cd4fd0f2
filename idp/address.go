package idp

import (
	"encoding/json"
	"slices"

	"github.com/belfry-eid/belfry/idp/client"
	"github.com/belfry-eid/belfry/idp/session"
	"github.com/belfry-eid/belfry/internal/eid"
)

// addressClaim is the claim of OpenID Connect Core 1.0 §5.1.1. It is always what the
// National Register wrote on the card: no other source fills it.
type addressClaim struct {
	Formatted  string `json:"formatted"`
	Street     string `json:"street_address,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Locality   string `json:"locality,omitempty"`
}

// sealAddress is the address of a session for a client that asks for it and that its holder
// agreed to give it to; nil otherwise. It is sealed because grants and access lie in the
// database.
func (p *Provider) sealAddress(c *client.Client, scopes []string, s session.Session) ([]byte, error) {
	if !slices.Contains(scopes, client.ScopeAddress) || s.AddressFor != c.ID || s.Address.Line() == "" {
		return nil, nil
	}
	plain, err := json.Marshal(s.Address)
	if err != nil {
		return nil, err
	}
	return p.Secret.Sealer("address").Seal(plain, c.ID), nil
}

func (p *Provider) openAddress(a access) (addressClaim, error) {
	plain, err := p.Secret.Sealer("address").Open(a.Address, a.Client)
	if err != nil {
		return addressClaim{}, err
	}
	var read eid.Address
	if err := json.Unmarshal(plain, &read); err != nil {
		return addressClaim{}, err
	}
	return addressClaim{read.Line(), read.Street, read.PostalCode, read.Locality}, nil
}
