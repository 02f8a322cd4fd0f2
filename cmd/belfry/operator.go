package main

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belfry-eid/belfry/internal/kv/redis"
)

// operator answers /healthz (the process lives), /readyz (it can serve) and /metrics.
func (in *install) operator() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", in.ready)
	mux.Handle("GET /metrics", promhttp.Handler())
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
	if store, ok := in.kv.(*redis.Store); ok {
		state["redis"] = "ok"
		if err := store.Ping(ctx); err != nil {
			state["redis"] = err.Error()
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(state)
}
