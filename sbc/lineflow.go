package sbc

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"linekeeper/sbc/sip"
)

// lineContact is our contact for an account in a call; ob asks the cloud to come
// back on the same flow (RFC 5626 4.3).
func (c *Config) lineContact(account string, flow sip.Flow) sip.URI {
	u := contactURI(account, flow)
	if c.Trunk.Outbound {
		u.UriParams.Add("ob", "")
	}
	return u
}

// outboundHeaders are the contact of a REGISTER with what it says of its flow, where
// the registrar keeps flows (RFC 5626 4.2).
func outboundHeaders(c *lineConfig, contact *sip.URI) []sip.Header {
	ct := &sip.Contact{Address: *contact}
	if !c.trunk.Outbound {
		return []sip.Header{ct}
	}
	ct.Address.UriParams.Add("ob", "")
	ct.Params.Add("reg-id", "1")
	ct.Params.Add("+sip.instance", sip.Quote("<"+lineInstance(c)+">"))
	return []sip.Header{ct, sip.NewHeader("Supported", "path, outbound")}
}

// lineInstance names the box as the device of an account: always the same, also
// after a restart or on a box that takes this one's place.
func lineInstance(c *lineConfig) string {
	sum := sha256.Sum256([]byte("instance\x00" + c.line.Account + "\x00" + c.trunk.Domain))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562 5.8
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// flowTimerOf is the Flow-Timer of a registrar; 0: none that makes sense.
func flowTimerOf(resp *sip.Response) time.Duration {
	n, err := strconv.ParseUint(sip.HeaderValue(resp, "Flow-Timer"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
