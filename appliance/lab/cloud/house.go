package cloud

import (
	"time"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// House is the name of a real system whose rules a cloud can go by.
type House string

// The houses.
const (
	CloudCom       House = "M-net CloudCom"
	CallManager    House = "CNT Call Manager"
	DeutschlandLAN House = "Telekom DeutschlandLAN Cloud PBX"
	CrownCentrex   House = "HFO Crown Centrex"
)

// Obey makes a cloud go by a house's rules, as the providers' documents have
// them. They are written down here a second time, apart from the product's
// profiles, so that a slip in one shows. Where a document is silent and a cloud
// must be one way or the other it takes the stricter one.
func (cfg *Config) Obey(h House) {
	switch h {
	case CloudCom: // third-party devices: SIP over TLS, TCP 5061
		cfg.Security = voice.Required
		cfg.Rules = Rules{Transports: []ua.Transport{ua.TLS}, ServerName: true, Numbers: International, Tries: 3, Candidates: Barred}
	case CallManager: // E.164, user-provided numbers pass unscreened, accounts limited to addresses
		cfg.Security = voice.Required
		cfg.Rules = Rules{Transports: []ua.Transport{ua.TLS, ua.UDP, ua.TCP}, Numbers: International, Tries: 3, Candidates: Barred}
	case DeutschlandLAN: // at most three automatic tries; *86, *21 and #21
		cfg.Security = voice.Opportunistic
		cfg.Rules = Rules{Numbers: International, Tries: 3, Screens: true, Codes: []string{"*86", "*21", "#21"}}
	case CrownCentrex: // UDP only, 300 ms apart, 60 s to 3600 s, exclusive, area code always, A-law then µ-law
		cfg.Security, cfg.Exclusive, cfg.Expires = voice.Plain, true, time.Hour
		cfg.Rules = Rules{
			Transports: []ua.Transport{ua.UDP}, Spacing: 300 * time.Millisecond, Patience: 3, Shortest: time.Minute, Tries: 3,
			Numbers: AreaCode, Payloads: []uint8{8, 0}, Screens: true, Candidates: Barred,
			Codes: []string{
				"*31", "*32", "*72*NUMBER*SECONDS", "*72*NUMBER", "*72*", "*73", "*76", "*77", "*78", "*79",
				"*80", "*8NUMBER", "*990", "*991", "*99",
			},
		}
	}
}
