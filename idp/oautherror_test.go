package idp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
)

func TestEveryKindHasAnOAuthError(t *testing.T) {
	for _, k := range fault.Kinds {
		if codes[k] == "" {
			t.Errorf("%v has no OAuth error", k)
		}
	}
}

func TestAProgramLearnsTheCodeAndNotTheCause(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   string
		status int
	}{
		{errors.New("secret cause"), "server_error", 500},
		{fault.New(fault.Unreachable, "idp.error_store", errors.New("secret cause")), "temporarily_unavailable", 503},
		{&http.MaxBytesError{Limit: 1}, "invalid_request", 400},
		{&oauthError{"invalid_client", "no", errors.New("secret cause")}, "invalid_client", 401},
		{&oauthError{"invalid_grant", "no", nil}, "invalid_grant", 400},
	} {
		w := httptest.NewRecorder()
		answerError(w, httptest.NewRequest("POST", "/token", nil), c.err)
		if body := w.Body.String(); w.Code != c.status || !strings.Contains(body, `"error":"`+c.code+`"`) || strings.Contains(body, "secret cause") {
			t.Errorf("%v: %d %s", c.err, w.Code, body)
		}
	}
}
