package voice

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/pion/srtp/v3"
)

// Suite is an SDES crypto suite by its name in RFC 4568 or RFC 7714.
type Suite string

// The suites that the lab speaks.
const (
	SHA1_80 Suite = "AES_CM_128_HMAC_SHA1_80"
	GCM     Suite = "AEAD_AES_128_GCM"
)

// profile gives the suite's transform and the lengths of key and salt.
func (s Suite) profile() (p srtp.ProtectionProfile, key, salt int, ok bool) {
	switch s {
	case SHA1_80:
		return srtp.ProtectionProfileAes128CmHmacSha1_80, 16, 14, true
	case GCM:
		return srtp.ProtectionProfileAeadAes128Gcm, 16, 12, true
	}
	return 0, 0, 0, false
}

// replayWindow is RFC 3711 3.3.2's least window.
const replayWindow = 64

// Context makes a cryptographic context for one direction, with replay protection.
func (c *Crypto) Context() (*srtp.Context, error) {
	p, key, salt, ok := c.Suite.profile()
	if !ok || len(c.Key) != key+salt {
		return nil, fmt.Errorf("crypto suite %q with %d octets of key", c.Suite, len(c.Key))
	}
	ctx, err := srtp.CreateContext(c.Key[:key], c.Key[key:], p, srtp.SRTPReplayProtection(replayWindow))
	if err != nil {
		return nil, fmt.Errorf("srtp context for %s: %w", c.Suite, err)
	}
	return ctx, nil
}

func newCrypto(tag int, suite Suite) (Crypto, error) {
	_, key, salt, ok := suite.profile()
	if !ok {
		return Crypto{}, fmt.Errorf("crypto suite %q is not known", suite)
	}
	c := Crypto{Tag: tag, Suite: suite, Key: make([]byte, key+salt)}
	_, err := rand.Read(c.Key)
	return c, err
}

// String is the value of the a=crypto attribute.
func (c Crypto) String() string {
	return fmt.Sprintf("%d %s inline:%s", c.Tag, c.Suite, base64.StdEncoding.EncodeToString(c.Key))
}

func parseCrypto(value string) (Crypto, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return Crypto{}, fmt.Errorf("crypto attribute with %d fields", len(f))
	}
	tag, err := strconv.ParseUint(f[0], 10, 31)
	if err != nil {
		return Crypto{}, fmt.Errorf("crypto tag: %w", err)
	}
	_, key, salt, ok := Suite(f[1]).profile()
	inline, isInline := strings.CutPrefix(f[2], "inline:")
	if !ok || !isInline {
		return Crypto{}, fmt.Errorf("crypto suite %q is not known", f[1])
	}
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(inline, "|", 2)[0])
	if err != nil || len(raw) != key+salt {
		return Crypto{}, fmt.Errorf("crypto key of suite %s", f[1])
	}
	return Crypto{Tag: int(tag), Suite: Suite(f[1]), Key: raw}, nil
}
