package sip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// torture reads what becomes of each file out of the tables of
// testdata/torture/README.md: "ok", a status code, "silent" (a request that is
// dropped without a word) or "drop" (nothing that could be answered).
func torture(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tortureDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	wants, folder := map[string]string{}, ""
	for line := range strings.Lines(string(text)) {
		if head, found := strings.CutPrefix(line, "## "); found {
			folder, _, _ = strings.Cut(strings.TrimSpace(head), ":")
		}
		if cells := strings.Split(line, " | "); len(cells) == 6 && strings.HasPrefix(line, "| `") {
			wants[filepath.Join(folder, strings.Trim(cells[0], "| `"))] = cells[2]
		}
	}
	return wants
}

func treatment(data []byte) string {
	m, err := Parse(data)
	var r *Reject
	switch {
	case m == nil && err == nil:
		return "neither message nor error"
	case m == nil:
		return "drop"
	case err != nil && !errors.As(err, &r):
		return "message with an error that is no reject"
	}
	switch m := m.(type) {
	case *Request:
		if r == nil {
			r = Validate(m)
		}
		switch {
		case r == nil:
			return "ok"
		case r.Response(m, "t") == nil:
			return "silent"
		}
		if _, err := Parse(Bytes(r.Response(m, "t"))); err != nil && len(r.echo) == 0 {
			return fmt.Sprintf("own answer cannot be read: %v", err)
		}
		return fmt.Sprint(r.Response(m, "t").StatusCode)
	case *Response:
		if ValidateResponse(m) != nil {
			return "drop"
		}
	}
	return "ok"
}

const tortureDir = "../../testdata/torture"

func TestTortureMessagesGetTheirTreatment(t *testing.T) {
	wants := torture(t)
	files, err := filepath.Glob(filepath.Join(tortureDir, "*", "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	perFolder := map[string]int{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Base(filepath.Dir(f))
		perFolder[folder]++
		name := filepath.Join(folder, strings.TrimSuffix(filepath.Base(f), ".msg"))
		want, listed := wants[name]
		if !listed {
			t.Errorf("%s has no row in the tables", name)
		}
		delete(wants, name)
		if got := treatment(data); got != want {
			m, err := Parse(data)
			t.Errorf("%s: %s, want %s; parsed: %v, %v", name, got, want, m != nil, err)
		}
	}
	for name := range wants {
		t.Errorf("%s has a row and no file", name)
	}
	if perFolder["rfc4475"] != 49 || perFolder["rfc5118"] != 12 {
		t.Errorf("%v messages, RFC 4475 has 49 and RFC 5118 has 12", perFolder)
	}
}

func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(tortureDir, "*", "*.msg"))
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

// FuzzParse holds that whatever is accepted can be written, read again with the
// same meaning, answered and looked into.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if m == nil {
			if err == nil {
				t.Fatal("neither message nor error")
			}
			return
		}
		SessionOf(m)
		_, _ = RAckOf(m)
		RetryAfterOf(m)
		Paths(m)
		Tokens(m, "Supported")
		for _, c := range Contacts(m) {
			ContactExpires(m, c, 0)
			ContactQ(c)
		}
		req, ok := m.(*Request)
		if ok {
			if _, err := Parse(Bytes(Respond(req, 400, "", "t"))); err != nil {
				t.Fatalf("own answer: %v\n%q", err, Bytes(Respond(req, 400, "", "t")))
			}
		}
		if err != nil || (ok && Validate(req) != nil) {
			return
		}
		once := Bytes(m)
		again, err := Parse(once)
		if err != nil {
			if len(once) > MaxMessage {
				return
			}
			t.Fatalf("own words: %v\n%q", err, once)
		}
		if twice := Bytes(again); string(once) != string(twice) {
			t.Fatalf("changed by writing:\n%q\n%q", once, twice)
		}
	})
}

// FuzzStream holds that messages do not depend on how the bytes are cut.
func FuzzStream(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, wholeErr := drain(data, len(data)+1)
		cut, cutErr := drain(data, 7)
		if whole != cut || (wholeErr == nil) != (cutErr == nil) {
			t.Fatalf("cut matters:\n%q %v\n%q %v", whole, wholeErr, cut, cutErr)
		}
	})
}

func drain(data []byte, size int) (string, error) {
	var s Stream
	var b strings.Builder
	for len(data) > 0 {
		n := min(size, len(data))
		part := data[:n]
		data = data[n:]
		for {
			out, err := s.Feed(part)
			part = nil
			for _, m := range out {
				b.Write(Bytes(m))
			}
			var r *Reject
			if err != nil && !(errors.As(err, &r) && len(out) > 0) {
				return b.String(), err
			}
			if err == nil {
				break
			}
		}
	}
	return b.String(), nil
}
