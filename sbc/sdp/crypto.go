package sdp

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Suite is an SRTP crypto suite by its SDES name.
type Suite string

// The suites that the box speaks.
const (
	AES128SHA80 Suite = "AES_CM_128_HMAC_SHA1_80" // RFC 4568 6.2
	AES128SHA32 Suite = "AES_CM_128_HMAC_SHA1_32" // RFC 4568 6.2; RTP tag 4 bytes, RTCP 10
	AES256SHA80 Suite = "AES_256_CM_HMAC_SHA1_80" // RFC 6188
	AES128GCM   Suite = "AEAD_AES_128_GCM"        // RFC 7714
	AES256GCM   Suite = "AEAD_AES_256_GCM"        // RFC 7714
)

// allSuites is our order of preference: the one that everybody speaks, then
// the better ones, the short tag last.
var allSuites = [...]Suite{AES128SHA80, AES128GCM, AES256GCM, AES256SHA80, AES128SHA32}

// KeyLen is the length of the master key in bytes; 0 for a suite that is not ours.
func (s Suite) KeyLen() int {
	switch s {
	case AES128SHA80, AES128SHA32, AES128GCM:
		return 16
	case AES256SHA80, AES256GCM:
		return 32
	}
	return 0
}

// SaltLen is the length of the master salt in bytes.
func (s Suite) SaltLen() int {
	switch s {
	case AES128SHA80, AES128SHA32, AES256SHA80:
		return 14
	case AES128GCM, AES256GCM:
		return 12
	}
	return 0
}

// Secret is key material. It redacts itself wherever it is printed or
// marshalled; only Bytes of a Session writes it out.
type Secret []byte

const redacted = "[redacted]"

func (Secret) String() string { return redacted }

// GoString keeps %#v from printing the bytes.
func (Secret) GoString() string { return redacted }

// Format keeps every verb of fmt, %x too, from printing the bytes.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// MarshalText keeps JSON and structured logs from printing the bytes.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Key is an SRTP master key with its salt.
type Key struct {
	Suite Suite
	// Material is the key followed by the salt.
	Material Secret
	// Lifetime is the most packets that the key may serve; 0: what RFC 3711 9.2 allows.
	Lifetime uint64
	// MKI is the identifier that every packet of this key carries; empty: none.
	MKI []byte
}

// Equal says whether two keys protect packets alike.
func (k *Key) Equal(o *Key) bool {
	if k == nil || o == nil {
		return k == o
	}
	return k.Suite == o.Suite && string(k.Material) == string(o.Material) && string(k.MKI) == string(o.MKI)
}

// Crypto is one a=crypto line (RFC 4568 9.1).
type Crypto struct {
	Tag int
	Key Key
	// Keys is how many keys the line has; we use lines with one.
	Keys int
	// Params are the session parameters as written.
	Params []string
}

// usable says whether we can do what the line asks with a suite of the list.
func (c *Crypto) usable(suites []Suite) bool {
	return c.bearable() && slices.Contains(suites, c.Key.Suite)
}

// bearable says whether we can do what the line asks: one key, and no session
// parameter that changes the packets (UNENCRYPTED_*, KDR, FEC). Parameters with a
// leading "-" may be ignored (RFC 4568 6.3.7), a window size hint too.
func (c *Crypto) bearable() bool {
	if c.Keys != 1 {
		return false
	}
	for _, p := range c.Params {
		if !strings.HasPrefix(p, "-") && !strings.HasPrefix(p, "WSH=") && p != "KDR=0" {
			return false
		}
	}
	return true
}

// parseCrypto reads "1 AES_CM_128_HMAC_SHA1_80 inline:KEY|2^20|1:4 WSH=64".
// Lines with a suite that we don't speak are passed over like malformed ones.
func parseCrypto(text string) (Crypto, bool) {
	f := strings.Fields(text)
	if len(f) < 3 {
		return Crypto{}, false
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	suite := Suite(strings.ToUpper(f[1]))
	if err != nil || len(f[0]) > 9 || suite.KeyLen() == 0 {
		return Crypto{}, false
	}
	keys := strings.Split(f[2], ";")
	c := Crypto{Tag: int(tag), Keys: len(keys), Params: f[3:], Key: Key{Suite: suite}}
	if !c.inline(keys[0]) {
		return Crypto{}, false
	}
	return c, true
}

// inline reads one "inline:KEY|lifetime|MKI:length".
func (c *Crypto) inline(text string) bool {
	const scheme = "inline:"
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return false
	}
	part := strings.Split(text[len(scheme):], "|")
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(part[0], "="))
	if err != nil || len(raw) != c.Key.Suite.KeyLen()+c.Key.Suite.SaltLen() || len(part) > 3 {
		return false
	}
	c.Key.Material = raw
	for _, p := range part[1:] {
		if mki, length, ok := strings.Cut(p, ":"); ok {
			if !c.mki(mki, length) {
				return false
			}
			continue
		}
		life, ok := lifetime(p)
		if !ok {
			return false
		}
		c.Key.Lifetime = life
	}
	return true
}

// mki reads the identifier: a number written big-endian in 1 to 128 bytes.
func (c *Crypto) mki(value, length string) bool {
	n, err := strconv.ParseUint(length, 10, 8)
	v, err2 := strconv.ParseUint(value, 10, 64)
	if err != nil || err2 != nil || n < 1 || n > 128 {
		return false
	}
	b := make([]byte, n)
	for i := len(b) - 1; i >= 0 && v > 0; i-- {
		b[i], v = byte(v), v>>8
	}
	c.Key.MKI = b
	return v == 0
}

// lifetime reads "2^20" or "1048576".
func lifetime(text string) (uint64, bool) {
	if exp, ok := strings.CutPrefix(text, "2^"); ok {
		n, err := strconv.ParseUint(exp, 10, 6)
		if err != nil || n > 48 {
			return 0, false
		}
		return 1 << n, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil && n > 0
}
