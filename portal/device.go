package portal

import (
	"strings"

	"github.com/belfry-eid/belfry/portal/session"
)

// device is what a browser says it is, in words coarse enough for people to know it again
// and for nobody else to: no version, no model. Every browser claims to be others too, so
// the most particular name counts.
func device(userAgent string) session.Device {
	first := func(names [][2]string) string {
		for _, n := range names {
			if strings.Contains(userAgent, n[0]) {
				return n[1]
			}
		}
		return ""
	}
	return session.Device{
		Browser: first([][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}}),
		System:  first([][2]string{{"Windows", "Windows"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}),
	}
}
