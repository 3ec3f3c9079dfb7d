package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"linekeeper/sbc/sdp"
)

// Why the pieces are our own: a context per direction that works in place,
// allocates nothing, and makes state for an SSRC only after a packet of it was
// authentic, so that a flood of forged SSRCs cannot grow it. Tests hold it
// against pion/srtp and the vectors of RFC 3711 and RFC 7714.

// Labels of the key derivation (RFC 3711 4.3).
const (
	labelRTPKey = iota
	labelRTPAuth
	labelRTPSalt
	labelRTCPKey
	labelRTCPAuth
	labelRTCPSalt
)

const (
	authKeyLen  = 20 // HMAC-SHA1 session key, RFC 3711 8.2
	rtcpTagLen  = 10 // also for the _32 suite, RFC 4568 6.2.2
	gcmTagLen   = 16
	srtcpIndex  = 4       // the E bit and the index
	encryptBit  = 1 << 31 // E of SRTCP
	maxSources  = 4       // SSRCs with state per direction; the oldest gives way
	blockLen    = aes.BlockSize
	maxOverhead = gcmTagLen + srtcpIndex + 128
)

// Errors of unprotect; sentinels, since they are made per packet.
var (
	errShort  = errors.New("packet shorter than its protection")
	errAuth   = errors.New("authentication failed")
	errReplay = errors.New("packet seen before or too old")
)

// protection is the SRTP context of one direction under one master key: RTP and
// RTCP, any number of SSRCs. Not for concurrent use.
type protection struct {
	key     sdp.Key
	rtp     transform
	rtcp    transform
	sources [maxSources]sourceState
	clock   uint32 // counts uses, to find the oldest source
	served  uint64 // packets so far
	worn    uint64 // of which that many mean that new keys are due
	follows bool   // some of before may matter
	before  [maxSources]carry
}

// carry is how far a source had come under the key before.
type carry struct {
	ssrc  uint32
	index uint64
}

// maxServed is how many packets RFC 3711 9.2 allows under one master key.
const maxServed = 1 << 48

// serve counts a packet under the key; it is true once, when new keys are due: after
// nine tenths of its lifetime, so that there is time to agree on others.
func (p *protection) serve() bool {
	p.served++
	return p.served == p.worn
}

// sourceState is what RFC 3711 3.2.1 keeps per SSRC. Arriving, index is the
// highest authenticated one; leaving, the last used.
type sourceState struct {
	ssrc      uint32
	used      uint32 // 0: free
	started   bool
	index     uint64 // ROC and sequence number
	window    uint64 // bit n: index-n was seen
	rtcpIndex uint32
	rtcpBegun bool
	rtcpSeen  uint64
}

// transform is the cipher of either RTP or RTCP.
type transform struct {
	block cipher.Block
	aead  cipher.AEAD
	mac   hash.Hash
	tag   int
	salt  [blockLen]byte // at the front; 14 or 12 bytes are used

	// Scratch space: it lives here since what is handed to an interface escapes.
	iv     [blockLen]byte
	stream [blockLen]byte
	sum    [sha1.Size]byte
	tail   [4]byte
	aad    [12]byte
}

// newProtection derives the session keys (RFC 3711 4.3, RFC 6188 3, RFC 7714 11).
func newProtection(key sdp.Key) (*protection, error) {
	n, m := key.Suite.KeyLen(), key.Suite.SaltLen()
	if n == 0 || len(key.Material) != n+m {
		return nil, fmt.Errorf("media key of %d bytes for suite %q", len(key.Material), key.Suite)
	}
	p := &protection{key: key, worn: maxServed / 10 * 9}
	if key.Lifetime > 0 && key.Lifetime < maxServed {
		p.worn = max(1, key.Lifetime/10*9)
	}
	if err := p.rtp.derive(key, labelRTPKey); err != nil {
		return nil, err
	}
	if err := p.rtcp.derive(key, labelRTCPKey); err != nil {
		return nil, err
	}
	if key.Suite == sdp.AES128SHA32 {
		p.rtp.tag = 4
	}
	return p, nil
}

func (t *transform) derive(key sdp.Key, label byte) error {
	n, m := key.Suite.KeyLen(), key.Suite.SaltLen()
	master, err := aes.NewCipher(key.Material[:n])
	if err != nil {
		return fmt.Errorf("media master key: %w", err)
	}
	prf := func(label byte, n int) []byte {
		var iv [blockLen]byte
		copy(iv[:], key.Material[len(key.Material)-m:])
		iv[7] ^= label
		out := make([]byte, n)
		cipher.NewCTR(master, iv[:]).XORKeyStream(out, out)
		return out
	}
	if err := t.raw(prf(label, n)); err != nil {
		return err
	}
	copy(t.salt[:], prf(label+labelRTPSalt, m))
	if m == 12 {
		return t.gcm()
	}
	t.mac = hmac.New(sha1.New, prf(label+labelRTPAuth, authKeyLen))
	t.tag = rtcpTagLen
	return nil
}

// raw takes the session key.
func (t *transform) raw(key []byte) (err error) {
	if t.block, err = aes.NewCipher(key); err != nil {
		return fmt.Errorf("media session key: %w", err)
	}
	return nil
}

// gcm makes the transform an AEAD.
func (t *transform) gcm() (err error) {
	t.tag = gcmTagLen
	if t.aead, err = cipher.NewGCM(t.block); err != nil {
		return fmt.Errorf("media session key: %w", err)
	}
	return nil
}

// counterIV sets the initial counter block of AES-CM (RFC 3711 4.1.1):
// salt*2^16 ^ SSRC*2^64 ^ index*2^16.
func (t *transform) counterIV(ssrc uint32, index uint64) {
	t.iv = t.salt
	binary.BigEndian.PutUint32(t.iv[4:], binary.BigEndian.Uint32(t.iv[4:])^ssrc)
	x := binary.BigEndian.Uint64(t.iv[8:]) ^ index<<16
	binary.BigEndian.PutUint64(t.iv[8:], x)
}

// counter encrypts or decrypts b in place with the IV that is set.
func (t *transform) counter(b []byte) {
	for c := uint16(0); len(b) > 0; c++ {
		binary.BigEndian.PutUint16(t.iv[14:], c)
		t.block.Encrypt(t.stream[:], t.iv[:])
		b = b[subtle.XORBytes(b, b, t.stream[:]):]
	}
}

// authTag is the HMAC over b and, for RTP, the roll-over counter behind it.
func (t *transform) authTag(b []byte, tail bool, roc uint32) []byte {
	t.mac.Reset()
	t.mac.Write(b)
	if tail {
		binary.BigEndian.PutUint32(t.tail[:], roc)
		t.mac.Write(t.tail[:])
	}
	return t.mac.Sum(t.sum[:0])[:t.tag]
}

// gcmIV sets the nonce: RFC 7714 8.1 for RTP (ROC and sequence number),
// 9.1 for RTCP (the 31 bits of the index); both are 48 bits at the end.
func (t *transform) gcmIV(ssrc uint32, index uint64) []byte {
	t.iv = t.salt
	iv := t.iv[:12]
	binary.BigEndian.PutUint32(iv[2:], binary.BigEndian.Uint32(iv[2:])^ssrc)
	for i := range 6 {
		iv[11-i] ^= byte(index >> (8 * i))
	}
	return iv
}

// source finds the state of an SSRC, or nil.
func (p *protection) source(ssrc uint32) *sourceState {
	for i := range p.sources {
		if s := &p.sources[i]; s.used != 0 && s.ssrc == ssrc {
			p.clock++
			s.used = p.clock
			return s
		}
	}
	return nil
}

// admit makes state for an SSRC, in place of the one that was unused longest.
func (p *protection) admit(ssrc uint32) *sourceState {
	oldest := &p.sources[0]
	for i := range p.sources {
		if p.sources[i].used < oldest.used {
			oldest = &p.sources[i]
		}
	}
	p.clock++
	*oldest = sourceState{ssrc: ssrc, used: p.clock}
	return oldest
}
