package provider

import (
	"slices"
	"time"

	"linekeeper/sbc/number"
	"linekeeper/sbc/sip"
)

// mnet is M-net CloudCom, an innovaphone cloud PBX ("Anforderungen").
func mnet() Profile {
	p := generic()
	p.Messages = false
	p.Name, p.Title = MNet, "M-net CloudCom"
	p.Transports = []sip.Transport{sip.TLS}
	p.Ports = map[sip.Transport]uint16{sip.TLS: 5061}
	p.STUNPorts = []uint16{3478, 3479}
	p.Thresholds = Thresholds{
		RoundTrip: 150 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 3, Voice: 120_000, Fax: 14_400,
	}
	p.Ranges = slices.Concat(
		prefixes("all services", "82.135.34.0/25"),
		prefixes("media", "82.135.34.80/28"),
		prefixes("STUN and TURN", "82.135.34.20/31"),
		prefixes("provisioning", "46.232.228.11/32"),
		prefixes("push", "46.232.228.14/32"),
		prefixes("gateway updates", "46.232.228.8/32"),
	)
	p.Notes = []string{
		"third-party devices (Fremdgerät) connect by SIP over TLS, TCP 5061; this is how the box connects",
		"innovaphone's own devices use H.323 over TLS, TCP 1300: let through, not terminated",
		"all CloudCom endpoints and apps must sit in one logical network",
		"TURN UDP and TCP 3478; media on a dynamic UDP range on both sides",
	}
	p.Sources = with(p.Sources, map[string]Source{
		"Messages":   ours("the document names no SIP MESSAGE"),
		"Subscribe":  ours("the document is silent: voicemail comes by e-mail"),
		"Transports": doc("SIP over TLS for third-party devices"),
		"Ports":      doc("TCP 5061"),
		"Codecs":     doc("G.711 A/µ, G.722, Opus; the order is ours"),
		"STUNPorts":  doc("UDP 3478 and 3479"),
		"Internal":   doc("interne Sprachverbindungen innerhalb des lokalen Netzwerks"),
		"Thresholds": doc("round trip, jitter, loss; 120 kbit/s a call, 14.4 kbit/s a fax"),
		"Ranges":     doc("address ranges to allow"),
	})
	return p
}

// cnt is CNT Call Manager ("Leistungsmerkmale").
func cnt() Profile {
	p := generic()
	p.Messages = false
	p.Subscribe = []string{"message-summary"}
	p.Name, p.Title = CNT, "CNT Call Manager"
	p.Transports = []sip.Transport{sip.TLS, sip.UDP, sip.TCP}
	p.Codecs = []string{"PCMA", "PCMU", "G722", "opus", "G729", "G726-32", "G728", "GSM", "speex", "telephone-event"}
	p.Thresholds = Thresholds{
		// The document prints the jitter as 120 µs. No office line keeps that;
		// it is taken for a slip of the unit and stays configurable.
		RoundTrip: 150 * time.Millisecond, Jitter: 30 * time.Millisecond, Loss: 1, Voice: 88_000,
	}
	p.Identity.Caller = CallerFrom
	p.Refusals[403] = "fraud prevention has barred the destination or the account, or the address isn't allowed to it"
	p.Notes = []string{
		"SIP proxies and ALGs on the site's router must be off",
		"118xx is barred on request: add 118 to dialplan.blocked",
		"fraud prevention warns, then bars destinations, then the account; accounts can be limited to addresses or ranges",
		"the document prints jitter < 120 µs; the site check uses 30 ms instead",
		"Local Routing is an option: internal calls may stay in the network, told apart by site and segment",
		"fax by T.38 or G.711 passed through",
	}
	p.Sources = with(p.Sources, map[string]Source{
		"Messages":   ours("the document names no SIP MESSAGE"),
		"Subscribe":  doc("MWI is a feature of the phones; that it is had by subscription is ours"),
		"Transports": doc("SIP and SIP over TLS; TLS first is ours"),
		"Codecs":     doc("passed through without transcoding; the order is ours"),
		"SRTP":       doc("SRTP; that plain RTP is taken too is ours"),
		"Internal":   doc("Local Routing (option)"),
		"Write":      doc("E.164 normalisation, national and international"),
		"Accept":     doc("national and international"),
		"Identity":   doc("user-provided and network-provided number told apart, CLIP, CLIR, CLIP no screening: the caller is shown as From has it; the headers are ours"),
		"Blocked":    doc("010x, 011x, 012x and 0900"),
		"Refusals":   doc("fraud prevention in stages, limits to addresses; which code it answers with is ours"),
		"Thresholds": doc("round trip, loss, 88 kbit/s a G.711 call; jitter is ours"),
	})
	return p
}

// telekom is DeutschlandLAN Cloud PBX (XPhone's configuration page for it).
func telekom() Profile {
	p := generic()
	p.Messages = false
	p.Subscribe = []string{"message-summary"}
	p.Name, p.Title = Telekom, "Telekom DeutschlandLAN Cloud PBX"
	p.Transports = []sip.Transport{sip.TLS, sip.TCP, sip.UDP}
	p.Codes = []StarCode{
		{"*86", MailboxTarget},
		{"*21", MailboxForward},
		{"#21", MailboxOff},
	}
	p.Notes = []string{
		"a preset outside prefix of 0 must be removed",
		"the extension length is that of the longest extension",
		"*86 is the mailbox number and the target for forwarding to it",
		"78811 dialled from the mobile pulls a call to it (Anruf heranholen); it isn't a code of the desk phone",
		"forwarding to the mailbox isn't shown by the phones and must be visible in the box's status",
		"a credential failure of the monitoring account cuts every line: at most three automatic tries",
	}
	p.Sources = with(p.Sources, map[string]Source{
		"Messages":        ours("the document names no SIP MESSAGE"),
		"Subscribe":       ours("the document is silent; BroadWorks systems tell MWI by subscription, RFC 3842"),
		"Transports":      ours("the document is silent; TLS first is safe"),
		"OutsidePrefix":   doc("none; a preset 0 must be removed"),
		"Codes":           doc("*86, *21, #21"),
		"CredentialTries": doc("at most three automatic tries"),
	})
	return p
}

// hfo is HFO Crown Centrex (estos' configuration guide).
func hfo() Profile {
	p := generic()
	p.Messages = false
	p.Subscribe = []string{"message-summary"}
	p.Name, p.Title = HFO, "HFO Crown Centrex"
	p.Transports = []sip.Transport{sip.UDP}
	p.Ports = map[sip.Transport]uint16{sip.UDP: 5060}
	p.Register = Register{
		Expires: 600 * time.Second, Longest: 3600 * time.Second,
		Spacing: 300 * time.Millisecond, NATRefresh: 25 * time.Second,
	}
	p.Codecs = []string{"PCMA", "PCMU", "telephone-event"}
	p.SRTP = Off
	p.Write = number.WithArea
	p.Diverts = DivertNone
	p.Codes = []StarCode{
		{"*31", CLIROn},
		{"*32", CLIROff},
		{"*72*NUMBER", ForwardAlways},
		{"*72*", ForwardOff},
		{"*72*NUMBER*SECONDS", ForwardAfter},
		{"*73", ForwardAllOff},
		{"*76", DNDRouteOn},
		{"*77", DNDRouteOff},
		{"*78", DNDOn},
		{"*79", DNDOff},
		{"*80", PickUpAny},
		{"*8NUMBER", PickUp},
		{"*99", Mailbox},
		{"*990", MailboxTarget},
		{"*991", MailboxGreet},
	}
	p.Exclusive = true
	p.Refusals[403] = "the account is tied to other addresses (Erlaubte IP-Adressen), or another device has it registered"
	p.Notes = []string{
		"the account's name is also its auth name",
		"the provider warns above 60 s between registrations in its web interface; 600 s is practical",
		"don't go below 300 ms between registrations with more than about 25 lines",
		"an account can be tied to addresses (Erlaubte IP-Adressen)",
		"transfers need supportsToUriChange=true on the account",
		"what is set in the PBX (forwarding, DND) wins over what the client has set; the two aren't synchronised",
	}
	p.Sources = with(p.Sources, map[string]Source{
		"Messages":   ours("the document names no SIP MESSAGE"),
		"Subscribe":  ours("the document names a mailbox, not how its lamp is told; a refusal is taken for hours"),
		"Transports": doc("SIP over UDP only"),
		"Ports":      ours("RFC 3261 19.1.2"),
		"Register":   doc("600 s practical, up to 3600 s; 300 ms apart; the NAT refresh of 25 s is ours"),
		"Codecs":     doc("A-law first, µ-law second"),
		"SRTP":       ours("keys would travel in the clear over UDP, so media isn't encrypted"),
		"Write":      doc("the area code is always dialled"),
		"Diverts":    doc("the forwarding party isn't signalled to the forwarding target"),
		"Codes":      doc("verified codes of the guide"),
		"Refusals":   doc("Erlaubte IP-Adressen, exclusive accounts; which code it answers with is ours"),
		"Exclusive":  doc("the same account registered twice gives faults at once"),
		"Identity":   doc("account name in From; the headers are ours"),
	})
	return p
}
