package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func folder(name string) string { return filepath.Join("..", "..", "testdata", "config", name) }

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(folder(name), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, name)); want != got {
		t.Errorf("%s differs; run with -update and read the diff. got:\n%s", name, got)
	}
}

func lines(ps Problems) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

func TestTheReferenceIsTheDefault(t *testing.T) {
	doc := read(t, "reference.yaml")
	s, ps := Parse("reference.yaml", doc)
	if s == nil {
		t.Fatalf("refused:\n%s", lines(ps))
	}
	want := Default()
	want.Site.Name = "Reference"
	want.Provider.Servers = s.Provider.Servers // one of domain and servers must be there
	for _, c := range Diff(want, s) {
		t.Errorf("not the default: %s", c)
	}
	for _, l := range leaves() {
		key := l[strings.LastIndexByte(l, '.')+1:]
		if !bytes.Contains(doc, []byte(key+":")) {
			t.Errorf("%s isn't in the reference", l)
		}
	}
	for i, line := range strings.Split(string(doc), "\n") {
		_, behind, has := strings.Cut(strings.TrimLeft(line, "# "), " #")
		branch := strings.HasSuffix(strings.TrimSpace(line), ":")
		if strings.Contains(line, ":") && !branch && (!has || behind == "") && !strings.HasPrefix(line, "#") {
			t.Errorf("line %d has no comment: %s", i+1, line)
		}
	}
}

func TestEveryKeyHasARowThatSaysWhetherItIsActedOn(t *testing.T) {
	known := map[string]bool{}
	for _, l := range leaves() {
		known[l] = true
		if _, ok := acts[l]; !ok {
			t.Errorf("%s has no row in the table acts", l)
		}
	}
	for k := range acts {
		if !known[k] {
			t.Errorf("the table acts has %s, which is no key", k)
		}
	}
}

func TestEveryFieldSaysWhatAChangeCosts(t *testing.T) {
	var walk func(t *testing.T, typ reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(t *testing.T, typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			switch f.Tag.Get("apply") {
			case "live", "newcalls", "restart":
			default:
				t.Errorf("%s.%s has no apply tag", typ.Name(), f.Name)
			}
			if f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no key", typ.Name(), f.Name)
			}
			checkTags(t, typ, f)
			in := f.Type
			for in.Kind() == reflect.Slice {
				in = in.Elem()
			}
			if isBranch(in) {
				walk(t, in)
			}
		}
	}
	walk(t, reflect.TypeFor[Site]())
}

func checkTags(t *testing.T, typ reflect.Type, f reflect.StructField) {
	t.Helper()
	name := typ.Name() + "." + f.Name
	if k := f.Type.Kind(); (k == reflect.Slice || k == reflect.Map) && f.Tag.Get("most") == "" {
		t.Errorf("%s is a list without a bound", name)
	}
	for _, key := range []string{"form", "keyform"} {
		if v := f.Tag.Get(key); v != "" {
			if _, ok := formOf(v); !ok {
				t.Errorf("%s has the unknown form %q", name, v)
			}
		}
	}
	if f.Type == reflect.TypeFor[Duration]() {
		lo, err1 := time.ParseDuration(f.Tag.Get("min"))
		hi, err2 := time.ParseDuration(f.Tag.Get("max"))
		if err1 != nil || err2 != nil || lo > hi {
			t.Errorf("%s has no range", name)
		}
	}
	if f.Type.Kind() == reflect.Int && (f.Tag.Get("min") == "" || f.Tag.Get("max") == "") {
		t.Errorf("%s has no range", name)
	}
}

func TestExamplesAreCleanSites(t *testing.T) {
	for _, name := range []string{"minimal", "praxis", "mnet-cloudcom", "cnt-callmanager", "telekom-cloudpbx", "hfo-centrex", "generic"} {
		s, ps := Parse(name+".yaml", read(t, name+".yaml"))
		if s == nil || len(ps.Of(Warning)) > 0 {
			t.Errorf("%s:\n%s", name, lines(ps))
		}
	}
}

func TestFindingsOfABrokenSite(t *testing.T) {
	s, ps := Parse("broken.yaml", read(t, "broken.yaml"))
	if s != nil {
		t.Error("a broken document gave a site")
	}
	golden(t, "broken.golden", lines(ps))
}

func TestNotesOfThePraxis(t *testing.T) {
	_, ps := Parse("praxis.yaml", read(t, "praxis.yaml"))
	golden(t, "praxis.golden", lines(ps))
}

func TestDocumentsThatAreNone(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, c := range map[string]struct{ doc, want string }{
		"nothing":        {"", "the document is empty"},
		"null":           {"~\n", "the document is empty"},
		"a list":         {"- site\n", "expected keys with values, found a list"},
		"no YAML":        {"site: {name: x\nprovider: [", "not YAML"},
		"two documents":  {"site: {}\n---\nsite: {}\n", "a second document begins"},
		"too long":       {strings.Repeat("#", MaxDocument+1), "at most"},
		"an alias bomb":  {bomb + "extensions: *j\nsite: *a\n", "aliases are not read"},
		"a merge":        {"site: {<<: {name: x}}\n", "mappings are not merged"},
		"an anchor":      {"site: &s {name: x}\n", "anchors are not read"},
		"a tag":          {"site: {name: !!binary aGFsbG8=}\n", "tags are not read"},
		"deep":           {strings.Repeat("[", 20000), "not YAML"},
		"a list of keys": {"? [a]\n: b\n", "a key must be a plain word"},
		"too many":       {"site: {name: x}\nprovider: {profile: generic}\nextensions:\n" + strings.Repeat("  - {number: \"22\"}\n", 2001), "2001 entries are too many"},
		"misplaced":      {"site: {name: x, members: []}\n", "there is groups[].members"},
	} {
		s, ps := Parse("x.yaml", []byte(c.doc))
		if s != nil || !strings.Contains(lines(ps), c.want) {
			t.Errorf("%s: %q is missing in:\n%s", name, c.want, lines(ps))
		}
	}
}

func TestADocumentWithEndlessErrorsIsAnsweredShortly(t *testing.T) {
	var b strings.Builder
	b.WriteString("site: {name: x}\nprovider: {profile: generic}\nextensions: []\n")
	for i := range 40000 {
		fmt.Fprintf(&b, "unknown%d: 1\n", i)
	}
	begin := time.Now()
	_, ps := Parse("x.yaml", []byte(b.String()))
	if len(ps) != maxProblems+1 || !ps.Failed() {
		t.Errorf("%d findings", len(ps))
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestTheGreatestSiteParsesQuickly(t *testing.T) {
	var b strings.Builder
	b.WriteString("site: {name: x, area_code: \"89\"}\nprovider: {profile: generic, domain: a.example}\nextensions:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "  - {number: \"%d\", password: \"kieselstein-%d\", forward: {busy: \"%d\"}, cloud: {account: a%d, password: x}}\n", 1000+i, i, 1000+(i+1)%2000, i)
	}
	begin := time.Now()
	s, ps := Parse("x.yaml", []byte(b.String()))
	if s == nil {
		t.Fatalf("%s", lines(ps))
	}
	if d := time.Since(begin); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
	t.Logf("2000 extensions in a circle took %s", time.Since(begin))
}

func TestNoWayOfPrintingGivesASecretAway(t *testing.T) {
	const secret = "hush-hush"
	doc := strings.ReplaceAll(string(read(t, "praxis.yaml")), "kieselstein-42-rabe", secret) + "# password: " + secret + "\n"
	s, ps := Parse("x.yaml", []byte(doc))
	if s == nil {
		t.Fatal(lines(ps))
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("site", "site", s, "secret", s.Extensions[0].Password)
	js, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	ym, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	red, err := RedactDocument([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	e := s.Extensions[0]
	for how, out := range map[string]string{
		"v": fmt.Sprintf("%v", s), "+v": fmt.Sprintf("%+v", *s), "#v": fmt.Sprintf("%#v", *s), "s": fmt.Sprintf("%s", e.Password),
		"x": fmt.Sprintf("%x", e.Password), "q": fmt.Sprintf("%q", e.Password), "d": fmt.Sprintf("%d", e.Password), "json": string(js),
		"yaml": string(ym), "log": log.String(), "document": string(red), "diff": fmt.Sprint(Diff(nil, s)),
		"redacted": s.Redacted().Extensions[0].Password.Reveal(),
	} {
		if strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s gives the secret away: %s", how, out)
		}
	}
	if e.Password.Reveal() != secret {
		t.Error("the secret is gone from the site itself")
	}
	if _, ps := Parse("x.yaml", red); !strings.Contains(lines(ps), "placeholder") {
		t.Errorf("a printed copy was taken for a site:\n%s", lines(ps))
	}
}

func TestAFingerprintIsOfWhatIsSaid(t *testing.T) {
	base := Fingerprint([]byte("site: {name: x, country: DE}\n"))
	if got := Fingerprint([]byte("# hello\nsite:\n  country: \"DE\"\n  name: x\n")); got != base {
		t.Error("comments, order and quotes changed the fingerprint")
	}
	for _, doc := range []string{"site: {name: y, country: DE}\n", "site: {name: x}\n", "site: {name: x, country: DE, a: }\n", "", "site: [", "site: [name, x, country, DE]"} {
		if Fingerprint([]byte(doc)) == base {
			t.Errorf("%q has the same fingerprint", doc)
		}
	}
}

func TestChangesHaveTheirCost(t *testing.T) {
	old, _ := Parse("a", read(t, "minimal.yaml"))
	change := func(from, to string) (Cost, []string) {
		t.Helper()
		doc := strings.Replace(string(read(t, "minimal.yaml")), from, to, 1)
		s, ps := Parse("b", []byte(doc))
		if s == nil {
			t.Fatal(lines(ps))
		}
		return CostOf(old, s)
	}
	for _, c := range []struct {
		from, to string
		cost     Cost
		paths    string
	}{
		{"Büro", "Büro", Free, "[]"},
		{"Büro", "Amt", Live, "[site.name]"},
		{"area_code: \"89\"", "area_code: \"30\"", NewCalls, "[site.area_code]"},
		{"domain: cloud.example", "domain: other.example", Restart, "[provider.domain]"},
		{"wolkenbruch-8-senf", "wolkenbruch-9-senf", Live, "[extensions[23].password]"},
		{"  - {number: \"23\"", "  - {number: \"21\", password: \"nachtigall-5-heu\"}\n  - {number: \"23\"", Live, "[extensions[21]]"},
		{"  - {number: \"22\"", "  # - {number: \"22\"", Live, "[extensions[22]]"},
	} {
		if cost, paths := change(c.from, c.to); cost != c.cost || fmt.Sprint(paths) != c.paths {
			t.Errorf("%s -> %s: %s %v, want %s %s", c.from, c.to, cost, paths, c.cost, c.paths)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"minimal.yaml", "praxis.yaml", "broken.yaml", "reference.yaml"} {
		b, err := os.ReadFile(folder(name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("a: &a [*a]\nsite: *a\n"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, ps := Parse("x.yaml", doc)
		if (s == nil) != ps.Failed() {
			t.Errorf("site %v with findings:\n%s", s != nil, lines(ps))
		}
		if len(ps) > maxProblems+1 {
			t.Errorf("%d findings", len(ps))
		}
		Fingerprint(doc)
		if s != nil {
			Diff(nil, s)
		}
	})
}
