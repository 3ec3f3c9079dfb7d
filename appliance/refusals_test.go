package appliance

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"linekeeper/appliance/store"
	"linekeeper/sbc"
)

func TestRefusedCredentialsAreRememberedOverARestartUntilTheyChange(t *testing.T) {
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	bad := sbc.Line{Account: "22", Auth: "22", Password: "old"}
	for run, want := range []int{0, 3} {
		st, err := store.Open(dir, log)
		if err != nil {
			t.Fatal(err)
		}
		r, err := openRefusals(st.State, log)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Refused(bad); got != want {
			t.Errorf("start %d: %d refusals remembered, want %d", run, got, want)
		}
		if r.Refused(sbc.Line{Account: "22", Auth: "22", Password: "new"}) != 0 {
			t.Error("a new password begins with old refusals")
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = r.Run(ctx, func() {}) })
		r.NoteRefused(bad, 3)
		stop()
		wg.Wait()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
