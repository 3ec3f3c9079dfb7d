package provider

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEveryFactOfAProfileSaysWhereItIsFrom(t *testing.T) {
	for _, name := range Names() {
		p, ok := Lookup(name)
		if !ok {
			t.Fatalf("no profile %q", name)
		}
		known := map[string]bool{}
		for f := range reflect.TypeFor[Profile]().Fields() {
			if slices.Contains([]string{"Name", "Title", "Notes", "Sources"}, f.Name) {
				continue
			}
			known[f.Name] = true
			if p.Sources[f.Name].Note == "" {
				t.Errorf("%s: %s has no source", name, f.Name)
			}
		}
		for f := range p.Sources {
			if !known[f] {
				t.Errorf("%s: source of an unknown fact %q", name, f)
			}
		}
	}
}

func TestProfilesAreComplete(t *testing.T) {
	for _, name := range Names() {
		p, _ := Lookup(name)
		for _, tr := range p.Transports {
			if p.Port(tr) == 0 {
				t.Errorf("%s: no port for %s", name, tr)
			}
		}
		if !slices.Contains(p.Codecs, "telephone-event") {
			t.Errorf("%s: no DTMF", name)
		}
		if p.CredentialTries < 1 || p.CredentialTries > 3 {
			t.Errorf("%s: %d credential tries, want 1 to 3", name, p.CredentialTries)
		}
		if p.Register.Expires < time.Minute || p.Register.Longest != 0 && p.Register.Expires > p.Register.Longest {
			t.Errorf("%s: expires %s", name, p.Register.Expires)
		}
		if !slices.Contains(p.Accept, p.Write) {
			t.Errorf("%s: writes numbers as %q and would not accept them", name, p.Write)
		}
	}
	if _, ok := Lookup("nobody"); ok {
		t.Error("a profile that doesn't exist was found")
	}
}

func TestLookupGivesACopyThatNobodyElseSees(t *testing.T) {
	a, _ := Lookup(HFO)
	a.Codecs[0] = "changed"
	a.Ports["udp"] = 1
	if b, _ := Lookup(HFO); b.Codecs[0] != "PCMA" || b.Port("udp") != 5060 {
		t.Errorf("a caller's change reached the next: %v %v", b.Codecs, b.Ports)
	}
}

func TestStarCodesOfHFO(t *testing.T) {
	p, _ := Lookup(HFO)
	for dialled, want := range map[string]Dialled{
		"*31":               {Feature: CLIROn},
		"*72*":              {Feature: ForwardOff},
		"*72*08912345":      {Feature: ForwardAlways, Number: "08912345"},
		"*72*+498912345*20": {Feature: ForwardAfter, Number: "+498912345", Seconds: "20"},
		"*80":               {Feature: PickUpAny},
		"*822":              {Feature: PickUp, Number: "22"},
		"*801":              {Feature: PickUp, Number: "01"},
		"*990":              {Feature: MailboxTarget},
		"*99":               {Feature: Mailbox},
	} {
		if got, ok := p.Match(dialled); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", dialled, got, ok, want)
		}
	}
	for _, dialled := range []string{"", "*", "*7", "*73x", "*72*12*", "*72**20", "*72*12*x", "*72*12*2000", "22", "*8", "*8+"} {
		if got, ok := p.Match(dialled); ok {
			t.Errorf("%q: taken for %+v", dialled, got)
		}
	}
}

func TestTheNumberInAForwardingCodeIsWrittenForTheCloud(t *testing.T) {
	p, _ := Lookup(HFO)
	spell := func(n string) string { return "089" + n }
	for dialled, want := range map[string]string{
		"*72*5601":    "*72*0895601",
		"*72*5601*20": "*72*0895601*20",
		"*72*":        "*72*",
		"*822":        "*822",
		"*99":         "*99",
		"*55*5601":    "*55*5601",
		"5601":        "5601",
	} {
		if got := p.Respell(dialled, spell); got != want {
			t.Errorf("%s becomes %s, want %s", dialled, got, want)
		}
	}
	for dialled, want := range map[string]string{"*72*0900123": "0900123", "*72*5601*20": "5601", "*72*": "", "*822": "", "*78": ""} {
		if d, _ := p.Match(dialled); d.Target() != want {
			t.Errorf("%s calls %q, want %q", dialled, d.Target(), want)
		}
	}
}

func TestStricterTakesTheStricterOfEachDemand(t *testing.T) {
	m, _ := Lookup(MNet)
	g, _ := Lookup(Generic)
	got := m.Thresholds.Stricter(g.Thresholds)
	want := Thresholds{RoundTrip: 150 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 1, Voice: 120_000, Fax: 14_400}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestProfilesGolden(t *testing.T) {
	var b strings.Builder
	for _, name := range Names() {
		p, _ := Lookup(name)
		fmt.Fprintf(&b, "%s: %s\n", p.Name, p.Title)
		v := reflect.ValueOf(p)
		for f := range v.Type().Fields() {
			src, has := p.Sources[f.Name]
			if !has {
				continue
			}
			from := "default"
			if src.Document {
				from = "document"
			}
			fmt.Fprintf(&b, "  %-16s %+v\n  %16s %s: %s\n", f.Name, v.FieldByIndex(f.Index), "", from, src.Note)
		}
		for _, n := range p.Notes {
			fmt.Fprintf(&b, "  note: %s\n", n)
		}
		b.WriteByte('\n')
	}
	file := filepath.Join("testdata", "profiles.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Errorf("profiles changed; run with -update and read the diff:\n%s", b.String())
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"*72*0891*20", "*8", "*72*", "#21", "*86"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range Names() {
			p, _ := Lookup(n)
			d, ok := p.Match(s)
			if ok && d.Feature == "" {
				t.Errorf("%q matched nothing in particular", s)
			}
			if same := p.Respell(s, func(n string) string { return n }); same != s {
				t.Errorf("%q is respelled as %q though its number stays", s, same)
			}
		}
	})
}

func TestLANClientProfilesAreCompleteAndSayWhereFactsAreFrom(t *testing.T) {
	for _, name := range ClientNames() {
		c, ok := LookupClient(name)
		if !ok || c.Name != name || len(c.Transports) == 0 || c.Port == 0 {
			t.Fatalf("%s: %+v", name, c)
		}
		if !slices.Contains(c.Codecs, "telephone-event") || c.Codecs[0] != "PCMA" {
			t.Errorf("%s: codecs %v", name, c.Codecs)
		}
		known := map[string]bool{}
		for f := range reflect.TypeFor[Client]().Fields() {
			if slices.Contains([]string{"Name", "Title", "Notes", "Sources"}, f.Name) {
				continue
			}
			known[f.Name] = true
			if c.Sources[f.Name].Note == "" {
				t.Errorf("%s: %s has no source", name, f.Name)
			}
		}
		for f := range c.Sources {
			if !known[f] {
				t.Errorf("%s: source of an unknown fact %q", name, f)
			}
		}
	}
	if _, ok := LookupClient("nobody"); ok {
		t.Error("a client profile that doesn't exist was found")
	}
}
