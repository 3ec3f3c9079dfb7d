package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func registerWith(t *testing.T, h Header) *Request {
	t.Helper()
	d := Draft{
		Method: REGISTER, Target: URI{Scheme: "sip", Host: "branch.example", UriParams: Params{{K: "transport", V: "tcp"}}},
		From: &From{Address: URI{User: "201", Host: "branch.example"}, Params: Params{{K: "tag", V: "1"}}},
		To:   &To{Address: URI{User: "201", Host: "branch.example"}}, CallID: "c1", Seq: 1,
	}
	if h != nil {
		d.Headers = []Header{h}
	}
	return d.Request()
}

func answer(t *testing.T, a *Authority, now time.Time, pick string, cred Credentials, nc uint32) Header {
	t.Helper()
	resp := Respond(registerWith(t, nil), 401, "", "t")
	for _, h := range a.Challenge(now, false, false) {
		resp.AppendHeader(h)
	}
	for _, c := range Challenges(resp) {
		if c.Algorithm == pick {
			h, err := Authorize(c, cred, REGISTER, "sip:branch.example;transport=tcp", nil, "cn", nc)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
	}
	t.Fatalf("no %s challenge", pick)
	return nil
}

func TestAuthorityJudgesCredentials(t *testing.T) {
	now := time.Unix(1000000, 0)
	a := NewAuthority("branch", []byte("0123456789abcdef"), 5*time.Minute, 4, 0)
	good := Credentials{"201", "secret"}
	password := func(u string) (string, bool) { return "secret", u == "201" }
	check := func(name string, want Proof, at time.Time, h Header) {
		t.Helper()
		if _, got := a.Check(at, registerWith(t, h), password); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	check("none", Missing, now, nil)
	for _, alg := range []string{"SHA-256", "MD5"} {
		h := answer(t, a, now, alg, good, 1)
		check(alg, Proven, now, h)
		check(alg+" replayed", Stale, now, h)
	}
	check("wrong password", Wrong, now, answer(t, a, now, "MD5", Credentials{"201", "x"}, 1))
	check("unknown user", Wrong, now, answer(t, a, now, "MD5", Credentials{"999", "secret"}, 1))
	check("old nonce", Stale, now.Add(6*time.Minute), answer(t, a, now, "SHA-256", good, 1))
	check("old nonce, wrong password", Wrong, now.Add(6*time.Minute), answer(t, a, now, "SHA-256", Credentials{"201", "x"}, 1))
	other := NewAuthority("branch", []byte("another-secret--"), 5*time.Minute, 4, 0)
	check("foreign nonce", Stale, now, answer(t, other, now, "MD5", good, 1))
	check("foreign nonce, wrong password", Wrong, now, answer(t, other, now, "MD5", Credentials{"201", "x"}, 1))
	h := answer(t, a, now, "MD5", good, 1)
	moved := NewHeader("Authorization", strings.Replace(h.Value(), "branch.example", "elsewhere.example", 1))
	check("for another target", Wrong, now, moved)
}

func TestNonceCountsMayComeOutOfOrderButOnlyOnce(t *testing.T) {
	a := NewAuthority("r", []byte("0123456789abcdef"), time.Minute, 2, 0)
	for _, c := range []struct {
		nc   uint32
		want bool
	}{{1, true}, {3, true}, {2, true}, {2, false}, {3, false}, {100, true}, {37, true}, {36, false}, {101, true}, {0, false}} {
		if got := a.spend("n", 1, c.nc); got != c.want {
			t.Errorf("count %d: %v, want %v", c.nc, got, c.want)
		}
	}
}

func TestForgottenNoncesAreStaleNotFresh(t *testing.T) {
	a := NewAuthority("r", []byte("0123456789abcdef"), time.Minute, 2, 0)
	for i := uint64(1); i <= 3; i++ {
		if !a.spend(fmt.Sprint(i), i, 1) {
			t.Fatalf("nonce %d refused", i)
		}
	}
	if len(a.used) != 2 {
		t.Errorf("%d nonces kept, want 2", len(a.used))
	}
	if a.spend("1", 1, 1) {
		t.Error("a forgotten nonce was taken again")
	}
}

// The vectors of RFC 7616 3.9.1, and of RFC 2069 form by RFC 2617 maths.
func TestDigestVectors(t *testing.T) {
	for _, c := range []struct{ algorithm, want string }{
		{"MD5", "8ca523f5e9506fed4657c9700eebdbec"},
		{"SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
	} {
		got, err := digestOf(Challenge{
			Realm: "http-auth@example.org", Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", Algorithm: c.algorithm, Qop: "auth",
		}, Credentials{"Mufasa", "Circle of Life"}, "GET", "/dir/index.html", nil, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", 1)
		if err != nil || got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.algorithm, got, err, c.want)
		}
	}
}

func TestChallengesComeBestFirst(t *testing.T) {
	resp := NewResponse(401, "")
	for _, v := range []string{
		`Digest realm="a", nonce="1"`, `Basic realm="x"`, `DIGEST Realm="a,b\"c", nonce="2" , algorithm=sha-256,qop="auth-int, auth"`,
		`Digest realm="a", nonce="3", algorithm=MD5-sess`, `Digest realm="a", nonce="4", qop="odd"`, `Digest realm="unfinished`,
	} {
		resp.AppendHeader(NewHeader("WWW-Authenticate", v))
	}
	got := fmt.Sprintf("%+v", Challenges(resp))
	want := `[{Realm:a,b"c Nonce:2 Opaque: Algorithm:SHA-256 Qop:auth Stale:false Proxy:false} {Realm:a Nonce:1 Opaque: Algorithm:MD5 Qop: Stale:false Proxy:false}]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCredentialsDoNotPrint(t *testing.T) {
	c := Credentials{"u", "topsecret"}
	if s := fmt.Sprintf("%v %+v %#v %s", c, c, c, c); strings.Contains(s, "topsecret") {
		t.Error(s)
	}
}

func FuzzDigest(f *testing.F) {
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:x", response="0", nc=00000001, cnonce="c", qop=auth`)
	f.Add(`Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth,auth-int"`)
	a := NewAuthority("r", []byte("0123456789abcdef"), time.Minute, 2, 0)
	f.Fuzz(func(t *testing.T, value string) {
		resp := NewResponse(401, "")
		resp.AppendHeader(NewHeader("WWW-Authenticate", value))
		for _, c := range Challenges(resp) {
			h, err := Authorize(c, Credentials{"u", "p"}, REGISTER, "sip:x", nil, "cn", 1)
			if err != nil {
				t.Fatal(err)
			}
			p, err := authParams(h.Value())
			if err != nil || p["nonce"] != c.Nonce || p["realm"] != c.Realm {
				t.Fatalf("own answer %q unreadable: %v", h.Value(), err)
			}
		}
		req := NewRequest(REGISTER, URI{Host: "x"})
		req.AppendHeader(NewHeader("Authorization", value))
		if _, proof := a.Check(time.Unix(0, 0), req, func(string) (string, bool) { return "p", true }); proof == Proven {
			t.Fatal("proven by chance")
		}
	})
}
