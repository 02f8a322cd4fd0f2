package orders

import (
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// appealText says to which body a person can appeal against a refusal, within which time
// and how: in the commune's own words where its settings have some, else by the law it is
// under. Without this the time to appeal does not begin as it should.
//
// Belgium: coordinated laws on the Council of State of 12 January 1973, articles 14 § 1 and
// 19; regent's decree of 23 August 1948, articles 4 and 84. France: code de justice
// administrative, articles R. 421-1, R. 421-5 and R. 414-6; code des relations entre le
// public et l'administration, articles L. 411-2 and R. 112-5.
func appealText(of *commune.Commune, l i18n.Language) string {
	if own := of.AppealIn(l); own != "" {
		return own
	}
	if of.French() {
		return i18n.T(l, "appeal.france")
	}
	return i18n.T(l, "appeal.belgium")
}
