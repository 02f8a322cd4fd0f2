package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belfry-eid/belfry/internal/blob/s3"
	"github.com/belfry-eid/belfry/internal/kv/redis"
	"github.com/belfry-eid/belfry/signing/seal"
)

// operator answers /healthz (the process lives), /readyz (it can serve) and /metrics.
func (in *install) operator() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", in.ready)
	mux.Handle("GET /metrics", in.metrics())
	return mux
}

// ready says whether the database answers: without it nothing works, while a token or
// an authority that is away only makes work wait, and without Redis the pages that need
// no sign-in are still served.
func (in *install) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	var one int
	state, status := map[string]string{"database": "ok"}, http.StatusOK
	if err := in.db.QueryRow(ctx, `SELECT 1`).Scan(&one); err != nil {
		state["database"], status = err.Error(), http.StatusServiceUnavailable
	}
	if store, ok := in.blobs.(*s3.Store); ok {
		state["s3"] = "ok"
		if err := store.Ping(ctx); err != nil { // orders are taken, and wait to be sealed
			state["s3"] = err.Error()
		}
	}
	if store, ok := in.kv.(*redis.Store); ok {
		state["redis"] = "ok"
		if err := store.Ping(ctx); err != nil {
			state["redis"] = err.Error()
		}
	}
	if in.issuing != nil {
		for _, c := range in.issuing.Silent() {
			state["seal of "+string(c)] = "does not answer: its orders wait"
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(state)
}

// metrics are the process's own, and how the seals and the documents stand.
func (in *install) metrics() http.Handler {
	own := prometheus.NewRegistry()
	if in.issuing != nil {
		own.MustRegister(seals{in, in.issuing})
	}
	return promhttp.HandlerFor(prometheus.Gatherers{prometheus.DefaultGatherer, own}, promhttp.HandlerOpts{})
}

// seals counts when it is asked.
type seals struct {
	in     *install
	sealer *seal.Sealer
}

var (
	documentsLasting = prometheus.NewDesc("belfry_documents_lasting", "Documents whose proofs are renewed.", []string{"commune"}, nil)
	renewalsDue      = prometheus.NewDesc("belfry_renewals_due", "Documents that wait to be stamped again.", []string{"commune"}, nil)
	sealSilent       = prometheus.NewDesc("belfry_seal_silent", "1 where a commune's seal does not answer.", []string{"commune"}, nil)
)

// Describe implements prometheus.Collector.
func (s seals) Describe(out chan<- *prometheus.Desc) {
	out <- documentsLasting
	out <- renewalsDue
	out <- sealSilent
}

// Collect implements prometheus.Collector.
func (s seals) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	silent := s.sealer.Silent()
	for _, c := range s.in.communes.All() {
		gauge := func(what *prometheus.Desc, n int) {
			out <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, float64(n), string(c.ID))
		}
		is := 0
		if slices.Contains(silent, c.ID) {
			is = 1
		}
		gauge(sealSilent, is)
		l, err := s.sealer.Lasting(ctx, c.ID)
		if err != nil {
			s.in.log.Warn("metrics", "error", err)
			continue
		}
		gauge(documentsLasting, l.Documents)
		gauge(renewalsDue, l.Due)
	}
}
