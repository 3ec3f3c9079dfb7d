package health

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func codes(all []Alarm) []Code {
	var out []Code
	for _, a := range all {
		out = append(out, a.Code)
	}
	return out
}

func epoch() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) }

func TestAlarmIsVisibleOnceItsPatienceIsOver(t *testing.T) {
	b, now := NewBoard(Catalogue()), epoch()
	b.Raise(now, LineLost, "22", "503")
	if got := b.Visible(now.Add(29 * time.Second)); len(got) != 0 {
		t.Errorf("shown too early: %v", got)
	}
	if at, ok := b.Next(now); !ok || !at.Equal(now.Add(30*time.Second)) {
		t.Errorf("next change at %v, %v", at, ok)
	}
	if got := codes(b.Visible(now.Add(30 * time.Second))); !slices.Equal(got, []Code{LineLost}) {
		t.Errorf("got %v", got)
	}
	b.Raise(now.Add(time.Hour), LineLost, "22", "408")
	if a := b.Visible(now.Add(time.Hour))[0]; a.Cause != "408" || !a.Since.Equal(now) {
		t.Errorf("a new cause made it a new alarm: %+v", a)
	}
	b.Clear(LineLost, "22")
	if got := b.Visible(now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("still there: %v", got)
	}
}

func TestCauseSilencesItsChildren(t *testing.T) {
	b, now := NewBoard(Catalogue()), epoch()
	b.Raise(now, ProviderUnreachable, "", "no answer to OPTIONS")
	b.Raise(now, LineLost, "22", "timeout")
	b.Raise(now, LineRejected, "23", "403")
	later := now.Add(time.Minute)
	if got := codes(b.Visible(later)); !slices.Equal(got, []Code{LineRejected, ProviderUnreachable}) {
		t.Errorf("got %v", got)
	}
	b.Raise(later, LinkDown, "", "no carrier on eth0")
	if got := codes(b.Visible(later.Add(2 * time.Second))); !slices.Equal(got, []Code{LineRejected, LinkDown}) {
		t.Errorf("got %v", got)
	}
	b.Clear(LinkDown, "")
	b.Clear(ProviderUnreachable, "")
	if got := codes(b.Visible(later)); !slices.Equal(got, []Code{LineRejected, LineLost}) {
		t.Errorf("got %v", got)
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	b, now := NewBoard(Catalogue()), epoch()
	b.Raise(now, LineRejected, "22", "403")
	if c := b.Changes(now); len(c) != 1 || !c[0].Raised {
		t.Errorf("got %+v", c)
	}
	if c := b.Changes(now); len(c) != 0 {
		t.Errorf("told again: %+v", c)
	}
	b.Clear(LineRejected, "22")
	b.Raise(now, StoreFailing, "", "read-only file system")
	c := b.Changes(now)
	if len(c) != 2 || c[0].Raised || c[0].Alarm.Code != LineRejected || !c[1].Raised {
		t.Errorf("got %+v", c)
	}
}

func TestBoardIsBoundedAndKnowsItsCodes(t *testing.T) {
	b := NewBoard(Catalogue())
	if b.Raise(epoch(), "made-up", "", "") {
		t.Error("an unknown code was taken")
	}
	for i := range 2 * MaxAlarms {
		if ok := b.Raise(epoch(), PhoneMissing, fmt.Sprint(i), ""); ok != (i < MaxAlarms) {
			t.Fatalf("alarm %d: %v", i, ok)
		}
	}
}

func TestCatalogueIsSound(t *testing.T) {
	seen := map[Code]bool{}
	for _, d := range Catalogue() {
		if d.Title.DE == "" || d.Title.EN == "" || rank(d.Severity) < 0 || seen[d.Code] {
			t.Errorf("%+v", d)
		}
		seen[d.Code] = true
		if slices.Contains(d.Causes, d.Code) {
			t.Errorf("%s silences itself", d.Code)
		}
	}
	for _, d := range Catalogue() {
		for _, c := range d.Causes {
			if !seen[c] {
				t.Errorf("%s has an unknown cause %s", d.Code, c)
			}
			for _, e := range Catalogue() {
				if e.Code == c && slices.Contains(e.Causes, d.Code) {
					t.Errorf("%s and %s silence each other", c, d.Code)
				}
			}
		}
	}
}

func TestRoomTellsWhenPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		start := time.Now()
		r := New(slog.New(slog.NewTextHandler(io.Discard, nil)), func(c Change) {
			told = append(told, fmt.Sprintf("%v %s %s raised=%v", time.Since(start), c.Alarm.Code, c.Alarm.Subject, c.Raised))
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, func() {}) }()
		r.Raise(LineLost, "22", "503")
		r.Raise(LineLost, "23", "503")
		time.Sleep(10 * time.Second)
		r.Clear(LineLost, "23")
		time.Sleep(time.Minute)
		if got := r.Alarms(); len(got) != 1 {
			t.Errorf("alarms %v", got)
		}
		r.Clear(LineLost, "22")
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []string{"30s line-lost 22 raised=true", "1m10s line-lost 22 raised=false"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestReadiness(t *testing.T) {
	good := func() Facts {
		return Facts{Now: epoch(), Mode: "online", Emergency: ProvenWayOut,
			Lines:        []LineFact{{"22", true}},
			Extensions:   []ExtensionFact{{"22", true, true}, {"23", true, true}},
			Certificates: []CertificateFact{{"LAN", epoch().Add(365 * day)}}}
	}
	for _, tc := range []struct {
		name  string
		spoil func(*Facts)
		score int
		first string
	}{
		{"all is well", func(*Facts) {}, 100, ""},
		{"phone gone", func(f *Facts) { f.Extensions[1].Registered = false }, 80, "extension-not-registered"},
		{"phone never there", func(f *Facts) { f.Extensions[1] = ExtensionFact{Number: "23"} }, 80, "extension-never-seen"},
		{"no emergency way", func(f *Facts) { f.Emergency = NoWayOut }, 75, "emergency-no-way-out"},
		{"gateway not checked", func(f *Facts) { f.Emergency = UnprovenWayOut }, 85, "emergency-way-out-unproven"},
		{"line lost", func(f *Facts) { f.Lines[0].Registered = false }, 80, "line-not-registered"},
		{"certificate over", func(f *Facts) { f.Certificates[0].Expires = epoch() }, 70, "certificate-expired"},
		{"certificate this week", func(f *Facts) { f.Certificates[0].Expires = epoch().Add(6 * day) }, 85, "certificate-expiring"},
		{"certificate this month", func(f *Facts) { f.Certificates[0].Expires = epoch().Add(20 * day) }, 95, "certificate-expiring"},
		{"in survival", func(f *Facts) { f.Mode = "survival" }, 90, "mode-survival"},
		{"recovering", func(f *Facts) { f.Mode = "recovering" }, 95, "mode-recovering"},
		{"nothing at all", func(f *Facts) {
			*f = Facts{Now: epoch(), Certificates: []CertificateFact{{"LAN", epoch()}, {"UI", epoch()}}}
		}, 0, "no-extensions"},
	} {
		f := good()
		tc.spoil(&f)
		got := Assess(f)
		first := ""
		if len(got.Findings) > 0 {
			first = got.Findings[0].Code
		}
		if got.Score != tc.score || first != tc.first || got.Findings == nil {
			t.Errorf("%s: %+v, want %d %s", tc.name, got, tc.score, tc.first)
		}
	}
}

func TestLongListsAreCut(t *testing.T) {
	f := Facts{Mode: "online", Emergency: ProvenWayOut}
	for i := range 8 {
		f.Extensions = append(f.Extensions, ExtensionFact{Number: fmt.Sprint(20 + i)})
	}
	if got, want := Assess(f).Findings[0].Text.In("de"), "Noch nie angemeldet: 20, 21, 22, 23, 24 und 3 weitere. Telefon einrichten."; got != want {
		t.Errorf("got %q", got)
	}
}
