// The programs of `make bench`. The peers that Belfry is measured beside are
// required here and nowhere else.
module github.com/belfry-eid/belfry/tools/bench

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.4
	github.com/luikyv/go-oidc v0.23.0
)

require (
	github.com/google/uuid v1.6.0 // indirect
	golang.org/x/crypto v0.52.0 // indirect
)
