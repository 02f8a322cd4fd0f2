package main

import (
	"context"
	"sync"

	"github.com/luikyv/go-oidc/pkg/goidc"
)

// memory keeps what the peer must remember, each thing under its key. The store that
// go-oidc brings holds a hundred grants and forgets live ones above that, so that
// sign-ins fail under load; this one gives the peer its best figure.
type memory struct {
	mu       sync.RWMutex
	grants   map[string]*goidc.Grant
	codes    map[string]*goidc.Grant
	sessions map[string]*goidc.AuthnSession
}

func newMemory() *memory {
	return &memory{grants: map[string]*goidc.Grant{}, codes: map[string]*goidc.Grant{}, sessions: map[string]*goidc.AuthnSession{}}
}

func (m *memory) SaveGrant(_ context.Context, g *goidc.Grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grants[g.ID] = g
	if g.AuthCode != "" {
		m.codes[g.AuthCode] = g
	}
	return nil
}

func (m *memory) Grant(_ context.Context, id string) (*goidc.Grant, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return found(m.grants, id)
}

func (m *memory) GrantByAuthCode(_ context.Context, code string) (*goidc.Grant, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return found(m.codes, code)
}

func (m *memory) SaveSession(_ context.Context, s *goidc.AuthnSession) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[s.ID] = s
	return nil
}

func (m *memory) Session(_ context.Context, id string) (*goidc.AuthnSession, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return found(m.sessions, id)
}

func found[T any](m map[string]*T, key string) (*T, error) {
	if v, ok := m[key]; ok {
		return v, nil
	}
	return nil, goidc.ErrNotFound
}
