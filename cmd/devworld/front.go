package main

import (
	"html/template"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// front answers on the ports people's browsers reach: `localhost` itself is this world's
// page, every other name goes to Belfry.
func (w *world) front() http.Handler {
	own, belfry := w.page(), w.toBelfry()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host := strings.ToLower(r.Host)
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		switch strings.Trim(host, "[]") {
		case "localhost", "127.0.0.1", "::1":
			own.ServeHTTP(rw, r)
		case federalHost:
			w.federal.ServeHTTP(rw, r)
		default:
			if source, ok := w.sourceAt(host); ok {
				source.ServeHTTP(rw, r)
				return
			}
			belfry.ServeHTTP(rw, r)
		}
	})
}

// toBelfry forwards with the Host as it came and with what a proxy with TLS says.
// Forwarding headers of the browser's own are dropped by httputil.
func (w *world) toBelfry() http.Handler {
	target := &url.URL{Scheme: "http", Host: loopback(w.config.belfry)}
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			p.SetXForwarded()
			p.Out.Header.Del("X-Forwarded-Host") // the Host says it, and chooses the commune
		},
		ErrorHandler: w.notUp,
	}
}

var starting = template.Must(template.New("starting").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{{if not .Stopped}}<meta http-equiv="refresh" content="2">{{end}}
<title>{{if .Stopped}}Belfry has stopped{{else}}Belfry is starting{{end}}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#0b0c0c;background:#fff}pre{overflow:auto;background:#f3f2f1;padding:1rem;font-size:.9rem}</style>
</head>
<body>
<main>
{{if .Stopped}}<h1>Belfry has stopped</h1>
<p lang="fr">Belfry s’est arrêté. Relancez le monde de développement.</p>
<p lang="nl">Belfry is gestopt. Start de ontwikkelomgeving opnieuw.</p>
<p>{{.Stopped}}</p>
<pre>{{.Log}}</pre>
<p>The whole log: {{.LogFile}}</p>
{{else}}<h1>Belfry is starting</h1>
<p lang="fr">Belfry démarre. Cette page se recharge toute seule.</p>
<p lang="nl">Belfry start op. Deze pagina herlaadt vanzelf.</p>
<p lang="de">Belfry startet. Diese Seite lädt sich selbst neu.</p>
<p>This page reloads by itself.</p>
{{end}}</main>
</body>
</html>
`))

// notUp is what people see while Belfry does not answer.
func (w *world) notUp(rw http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the browser went away
	}
	view := struct{ Stopped, Log, LogFile string }{}
	if c := w.belfry; c != nil {
		view.Stopped, view.Log, view.LogFile = c.ended(), c.tail(), c.logFile
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	rw.Header().Set("Cache-Control", "no-store")
	rw.Header().Set("Retry-After", "2")
	rw.WriteHeader(http.StatusServiceUnavailable)
	starting.Execute(rw, view)
}
