package provider

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// The pages in docs are for installers. What stands between the marks is made
// from the profiles, so that a page can't say what the box doesn't do; the rest
// is written by hand.

const (
	factsBegin = "<!-- facts, made by go test ./sbc/provider -update -->\n"
	factsEnd   = "<!-- end of facts -->\n"
)

// row is one fact on a page.
type row struct {
	what, value string
	from        Source
}

func TestEachPageSaysWhatItsProfileHas(t *testing.T) {
	pages := map[string]string{}
	for _, n := range Names() {
		p, _ := Lookup(n)
		pages[string(n)] = factsOf(rows(p), p.Notes)
	}
	for _, n := range ClientNames() {
		c, _ := LookupClient(n)
		pages[string(n)] = factsOf(clientRows(c), c.Notes)
	}
	for name, facts := range pages {
		file := filepath.Join("docs", name+".md")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, begins := strings.Cut(string(text), factsBegin)
		_, tail, ends := strings.Cut(rest, factsEnd)
		if !begins || !ends {
			t.Fatalf("%s has no place for the facts", file)
		}
		if !strings.Contains(head, "## Setting up") || !strings.Contains(head, "profile: "+name) {
			t.Errorf("%s doesn't say how to set up an account", file)
		}
		want := head + factsBegin + facts + factsEnd + tail
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if string(text) != want {
			t.Errorf("%s isn't what the profile has; run with -update and read the diff", file)
		}
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) != len(pages) {
		t.Errorf("%d pages for %d profiles: %v", len(files), len(pages), err)
	}
}

func factsOf(rows []row, notes []string) string {
	var b strings.Builder
	b.WriteString("| fact | value | from | what exactly |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		from := "our default"
		if r.from.Document {
			from = "**document**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, r.value, from, r.from.Note)
	}
	b.WriteString("\nTo know:\n\n")
	for _, n := range notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if len(notes) == 0 {
		b.WriteString("- nothing beyond the table\n")
	}
	return b.String()
}

func rows(p Profile) []row {
	codes := make([]string, 0, len(p.Codes))
	for _, c := range p.Codes {
		codes = append(codes, fmt.Sprintf("`%s` %s", c.Pattern, c.Feature))
	}
	ranges := make([]string, 0, len(p.Ranges))
	for _, r := range p.Ranges {
		ranges = append(ranges, fmt.Sprintf("%s %s", r.Prefix, r.Use))
	}
	accept := make([]string, 0, len(p.Accept))
	for _, s := range p.Accept {
		accept = append(accept, example(s))
	}
	t, reg := p.Thresholds, p.Register
	limits := fmt.Sprintf("round trip < %s, jitter < %s, loss < %v %%, %d kbit/s a call", t.RoundTrip, t.Jitter, t.Loss, t.Voice/1000)
	if t.Fax > 0 {
		limits += fmt.Sprintf(", %.1f kbit/s a fax", float64(t.Fax)/1000)
	}
	most := "no limit named"
	if reg.Longest > 0 {
		most = "at most " + seconds(reg.Longest)
	}
	id := p.Identity
	of := func(field string, what, value string) row { return row{what, value, p.Sources[field]} }
	return []row{
		of("Transports", "transports, the default first", join(texts(p.Transports))),
		of("Ports", "ports", ports(p.Ports)),
		of("Register", "registration", fmt.Sprintf("%s asked for, %s; %s between two; keep-alive every %s; kept as a flow (RFC 5626): %s", seconds(reg.Expires), most, reg.Spacing, reg.NATRefresh, yes(reg.Outbound))),
		of("Exclusive", "an account may be registered once only", yes(p.Exclusive)),
		of("CredentialTries", "tries with refused credentials", fmt.Sprint(p.CredentialTries)),
		of("Codecs", "codecs, best first", join(p.Codecs)),
		of("SRTP", "encrypted speech (SRTP)", string(p.SRTP)),
		of("Keying", "keys by", string(p.Keying)),
		of("ICE", "ICE candidates", yes(p.ICE)),
		of("STUNPorts", "STUN ports, UDP", join(texts(p.STUNPorts))),
		of("Internal", "calls between extensions", map[Internal]string{Local: "inside the box", Cloud: "signalled through the cloud, speech stays"}[p.Internal]),
		of("Write", "numbers toward the cloud", example(p.Write)),
		of("Accept", "numbers from the cloud", join(accept)),
		of("Identity", "identity", fmt.Sprintf("%s in From, number in %s, withheld by Privacy: id, caller shown from %s", id.From, id.Header, id.Caller)),
		of("Diverts", "who sent a call on is told by", string(p.Diverts)),
		of("OutsidePrefix", "outside prefix", none(p.OutsidePrefix)),
		of("Blocked", "barred beginnings", join(p.Blocked)),
		of("Codes", "star codes passed to the cloud", join(codes)),
		of("Refusals", "what refusals mean", refusals(p.Refusals)),
		of("Thresholds", "the line must keep", limits),
		of("Ranges", "the provider's networks", join(ranges)),
	}
}

func clientRows(c Client) []row {
	media := "not named"
	if c.MediaHigh > 0 {
		media = fmt.Sprintf("UDP %d-%d", c.MediaLow, c.MediaHigh)
	}
	spacing := "it does not register"
	if c.Spacing > 0 {
		spacing = c.Spacing.String()
	}
	of := func(field string, what, value string) row { return row{what, value, c.Sources[field]} }
	return []row{
		of("Registers", "how it stands at the box", map[bool]string{true: "registers its lines", false: "like a trunk, known by its address"}[c.Registers]),
		of("Transports", "transports, the default first", join(texts(c.Transports))),
		of("Port", "its SIP port", fmt.Sprint(c.Port)),
		of("Spacing", "time between its registrations", spacing),
		of("Codecs", "codecs toward it, best first", join(c.Codecs)),
		of("Write", "callers' numbers toward it", example(c.Write)),
		of("MediaLow", "its media ports", media),
		of("STUNPorts", "STUN ports, UDP", join(texts(c.STUNPorts))),
		of("ICE", "its descriptions carry ICE candidates", yes(c.ICE)),
		of("Refusals", "what refusals mean", refusals(c.Refusals)),
	}
}

func join(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func texts[T any](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = fmt.Sprint(v)
	}
	return out
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func none(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

func ports(m map[sip.Transport]uint16) string {
	var all []string
	for _, t := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%s %d", t, m[t]))
	}
	return join(all)
}

func refusals(m map[int]string) string {
	var all []string
	for _, code := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%d: %s", code, m[code]))
	}
	return strings.Join(all, "; ")
}

// example is a number in Munich in a style.
func example(s number.Style) string {
	b := number.NewBook(number.Plan{Country: "DE", AreaCode: "89"})
	return fmt.Sprintf("%s (%s)", b.Format("+498912345620", s), s)
}
