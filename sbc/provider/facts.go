package provider

import (
	"maps"
	"net/netip"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// ours and doc say where a fact is from.
func ours(why string) Source { return Source{Note: why} }
func doc(what string) Source { return Source{Document: true, Note: what} }

// prefixes reads a table of networks. The tables are constants of this
// package, a wrong one is found by its test.
func prefixes(use string, texts ...string) []Range {
	out := make([]Range, 0, len(texts))
	for _, t := range texts {
		out = append(out, Range{Prefix: netip.MustParsePrefix(t), Use: use})
	}
	return out
}

// generic is the profile of a cloud PBX that nobody wrote a document about:
// plain RFC 3261 with the house's safe defaults. The other profiles start from
// it and say what differs.
func generic() Profile {
	return Profile{
		Name:       Generic,
		Title:      "any SIP cloud PBX",
		Transports: []sip.Transport{sip.UDP, sip.TCP, sip.TLS},
		Ports:      map[sip.Transport]uint16{sip.UDP: 5060, sip.TCP: 5060, sip.TLS: 5061},
		Register: Register{
			Expires: 600 * time.Second, Spacing: 300 * time.Millisecond, NATRefresh: 25 * time.Second,
		},
		Codecs:          []string{"PCMA", "PCMU", "G722", "opus", "telephone-event"},
		SRTP:            Preferred,
		Keying:          Either,
		STUNPorts:       []uint16{3478},
		Internal:        Local,
		Write:           number.WithPlus,
		Accept:          []number.Style{number.WithPlus, number.WithZeros, number.WithArea, number.WithoutPlus},
		Identity:        Identity{From: FromAccount, Header: Preferred3325, Anonymous: PrivacyID, Caller: CallerAsserted},
		Diverts:         DivertDiversion,
		Blocked:         []string{"010", "011", "012", "0900"},
		Messages:        true,
		CredentialTries: 3,
		Refusals: map[int]string{
			401: "the password or the name to authenticate with is wrong",
			403: "the account is barred, not allowed from this address, or the number isn't allowed to it",
			404: "the provider doesn't know the number",
			484: "the number is incomplete for the provider",
			488: "the two sides share no codec or no way to encrypt",
		},
		Thresholds: Thresholds{
			RoundTrip: 150 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 1, Voice: 100_000,
		},
		Sources: map[string]Source{
			"Transports":      ours("RFC 3261 18; UDP where nothing is said"),
			"Ports":           ours("RFC 3261 19.1.2"),
			"Register":        ours("600 s, 300 ms apart, keep-alive every 25 s below the usual NAT time of 30 s; a registrar's Flow-Timer is kept in any case"),
			"Codecs":          ours("A-law first as in Europe, wideband and Opus offered"),
			"SRTP":            ours("offered, plain RTP taken"),
			"Keying":          ours("SDES is offered, as SIP trunks have it; DTLS is taken too"),
			"ICE":             ours("not used"),
			"STUNPorts":       ours("RFC 8489"),
			"Internal":        ours("internal calls never leave the box"),
			"OutsidePrefix":   ours("none"),
			"Write":           ours("E.164 with +"),
			"Accept":          ours("every form that is unambiguous"),
			"Identity":        ours("account in From, number in P-Preferred-Identity, withheld by Privacy: id, caller from P-Asserted-Identity (RFC 3325)"),
			"Diverts":         ours("Diversion is what most systems understand; what comes is read in both forms"),
			"Codes":           ours("none known"),
			"Messages":        ours("tried; a cloud without it refuses, and the phone learns that"),
			"Subscribe":       ours("nothing; what the cloud tells by itself is taken"),
			"Blocked":         ours("as CNT does: call-by-call, services, premium"),
			"Exclusive":       ours("a second registration is not expected to do harm"),
			"CredentialTries": ours("three, then an alarm; never a lock-out"),
			"Refusals":        ours("RFC 3261 21.4"),
			"Thresholds":      ours("150 ms, 30 ms, 1 %, 100 kbit/s"),
			"Ranges":          ours("none known"),
		},
	}
}

// with returns the sources with some of them replaced.
func with(base, changed map[string]Source) map[string]Source {
	out := maps.Clone(base)
	maps.Copy(out, changed)
	return out
}
