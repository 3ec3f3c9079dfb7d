package api_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"linekeeper/appliance/api"
	"linekeeper/appliance/api/apitest"
)

// keeper keeps the text of each change as it got it.
type keeper struct {
	api.SiteStore
	texts [][]byte
}

func (k *keeper) Apply(_ context.Context, c api.Change) (api.Applied, error) {
	k.texts = append(k.texts, c.Text)
	return api.Applied{}, nil
}

// A document that is kept must not change when the next one comes: the server of the
// API reads bodies into buffers that it uses again.
func TestTheTextOfAChangeIsItsReceiversOwn(t *testing.T) {
	backend := apitest.Weber().Backend()
	k := &keeper{SiteStore: backend.Site}
	backend.Site = k
	h := api.NewHandler(backend, "1.0.0", slog.New(slog.DiscardHandler))
	text := func(i int) string { return fmt.Sprintf("site: {name: %03d}", i) }
	for i := range 100 {
		req := httptest.NewRequest("PUT", "/api/v1/site", strings.NewReader(text(i)))
		req.Header.Set("Content-Type", "application/yaml")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for i, got := range k.texts {
		if !bytes.Equal(got, []byte(text(i))) {
			t.Fatalf("text %d is now %q", i, got)
		}
	}
}
