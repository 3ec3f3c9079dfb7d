package sip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// torture says what becomes of each file of testdata/torture: "ok", a status
// code, "silent" (a request that is dropped without a word) or "drop" (nothing
// that could be answered).
var torture = []struct{ name, want, why string }{
	// RFC 4475 3.1.1, valid messages
	{"wsinv", "ok", "folding, white space, escapes, compact forms, Via lists"},
	{"intmeth", "ok", "wide range of characters; the method is for the owner to refuse with 501"},
	{"esc01", "ok", "escapes in the user part"},
	{"escnull", "ok", "escaped NUL in URIs"},
	{"esc02", "ok", "per cent signs that are no escapes"},
	{"lwsdisp", "ok", "no white space before the bracket"},
	{"longreq", "ok", "long values, 34 hops"},
	{"dblreq", "ok", "bytes behind the body are dropped"},
	{"semiuri", "ok", "semicolon in the user part"},
	{"transports", "ok", "unknown transports in lower Vias"},
	{"unreason", "ok", "UTF-8 in the reason phrase"},
	{"noreason", "ok", "empty reason phrase"},
	{"ipv6", "ok", "IPv6 everywhere"},
	// RFC 4475 3.1.2, invalid messages
	{"badinv01", "400", "empty values in the Via list"},
	{"clerr", "400", "body shorter than Content-Length"},
	{"ncl", "400", "negative Content-Length"},
	{"scalar02", "drop", "CSeq out of range: nothing to copy into an answer"},
	{"scalarlg", "drop", "CSeq of a response out of range"},
	{"quotbal", "drop", "unterminated quote in To"},
	{"ltgtruri", "400", "brackets around the request-uri"},
	{"lwsruri", "400", "white space in the request-uri"},
	{"lwsstart", "400", "double spaces in the request line"},
	{"trws", "drop", "white space behind the version"},
	{"escruri", "400", "headers in the request-uri"},
	{"regbadct", "400", "question mark in a URI without brackets"},
	{"badaspec", "drop", "white space within the brackets of To"},
	{"baddn", "ok", "comma in an unquoted display name; quoted when it goes on"},
	{"badvers", "505", "version 7.0"},
	{"mismatch01", "400", "CSeq of another method"},
	{"mismatch02", "400", "CSeq of another method, unknown method"},
	{"bigcode", "drop", "status code out of range"},
	{"code20", "drop", "status code of two digits"},
	// RFC 4475 3.2 to 3.4
	{"badbranch", "400", "branch is the cookie alone"},
	{"inv2543", "400", "RFC 2543 peers are not served"},
	{"insuf", "silent", "an answer needs them: no Call-ID, From and To"},
	{"unkscm", "416", "unknown scheme"},
	{"novelsc", "416", "known scheme that is not ours"},
	{"unksm2", "ok", "odd schemes in From, To, Contact are for the registrar to judge"},
	{"bext01", "420", "unknown extensions required"},
	{"invut", "ok", "unknown body type is for the owner"},
	{"regaut01", "ok", "unknown authorization scheme counts as none"},
	{"multi01", "400", "second CSeq, Call-ID, To, From"},
	{"mcl01", "400", "second Content-Length"},
	{"cparam01", "ok", "contact parameter without brackets"},
	{"zeromf", "ok", "Max-Forwards 0 ends here, which is where it may"},
	{"bcast", "ok", "second Via is for the exchange, which knows no such branch"},
	// what lenient parsers let through
	{"port70000", "400", "port out of range"},
	{"nohost", "400", "empty host"},
	{"viaport99x", "drop", "Via port that is no number"},
	{"viaport99999", "drop", "Via port out of range"},
	{"vialist", "ok", "two Vias in one line, the second without parameters"},
	{"via1001", "400", "more hops than Max-Forwards allows"},
	{"starplus", "400", "contact star beside another"},
	{"star", "ok", "contact star alone"},
	{"twotags", "drop", "From with two tags"},
	{"nul", "400", "NUL in a value"},
	{"barecr", "400", "carriage return in a value"},
	{"nocolon", "400", "line without a colon"},
	{"badack", "silent", "nobody answers an ACK"},
	{"twocontacts", "400", "INVITE with two contacts"},
	{"gzip", "415", "encoded body"},
	{"telruri", "ok", "tel URI"},
	{"hashuser", "ok", "star code with a bare hash, as phones send it"},
	{"lines300", "400", "too many header fields"},
	{"lfonly", "drop", "lines end in LF alone"},
	{"garbage", "drop", "no SIP at all"},
	{"noend", "drop", "no empty line"},
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
		if _, err := Parse(Bytes(r.Response(m, "t"))); err != nil {
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
	listed := map[string]bool{}
	for _, c := range torture {
		listed[c.name] = true
		data, err := os.ReadFile(filepath.Join(tortureDir, c.name+".msg"))
		if err != nil {
			t.Fatal(err)
		}
		if got := treatment(data); got != c.want {
			m, err := Parse(data)
			t.Errorf("%s (%s): %s, want %s; parsed: %v, %v", c.name, c.why, got, c.want, m != nil, err)
		}
	}
	files, err := filepath.Glob(filepath.Join(tortureDir, "*.msg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".msg"); !listed[name] {
			t.Errorf("%s has no line in the table", name)
		}
	}
}

func seeds(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(tortureDir, "*.msg"))
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
