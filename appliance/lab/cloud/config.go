package cloud

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"linekeeper/appliance/lab/tone"
	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// Listen is one address that the cloud serves.
type Listen struct {
	Transport ua.Transport
	Addr      netip.AddrPort // port 0: given by the kernel
}

// Account is one subscriber of the cloud.
type Account struct {
	User     string // user part of its address
	Auth     string // user name of the digest; empty: User
	Password string
	Public   string // its number in E.164; empty: none
}

func (a Account) auth() string {
	if a.Auth == "" {
		return a.User
	}
	return a.Auth
}

// Config says what a cloud is. Listen and Domain are needed.
type Config struct {
	Listen     []Listen
	Domain     string // realm and host of its addresses
	Names      []string
	Accounts   []Account
	Algorithms []string // digest algorithms offered, in order; empty: SHA-256, MD5
	NonceLife  time.Duration
	Expires    time.Duration // the most that is granted; 0: an hour
	Exclusive  bool          // a second contact for an account is refused and counted
	Rules      Rules         // the house rules of a real system
	Security   voice.Security
	Suites     []voice.Suite
	Codecs     []tone.Law
	Outside    map[string]Script // by number
	Unknown    *Script           // every other outside number; nil: 404
	Silence    bool              // accounts called by a test do not send a tone
	Media      func(c *ua.Call) (ua.Media, error)
	Log        *slog.Logger // nil: silent
}

// Script is how a virtual outside subscriber behaves.
type Script struct {
	Does        Behaviour
	RingAfter   time.Duration // before 180
	AnswerAfter time.Duration // after 180
	Early       bool          // 183 with early media instead of 180
	Tone        float64       // Hz sent once answered; 0: silence
	Code        int           // of Rejects
	Phrase      string
	HangupAfter time.Duration // after the answer; 0: never
}

// Behaviour is the manner of a Script.
type Behaviour uint8

// The manners.
const (
	Answers  Behaviour = iota
	Echoes             // answers and sends back what it hears
	Busy               // 486
	NoAnswer           // rings until the caller gives up
	Rejects            // with Code and Phrase
	Mute               // says nothing but 100
)

// Fault is what is wrong with the cloud; the zero value is a healthy one.
type Fault struct {
	Silent            bool // a black hole: nothing passes, no socket closes
	Cut               bool // sockets and connections are closed, new ones refused
	Refusing          bool // 503 to every request outside a dialog
	RetryAfter        time.Duration
	Slow              time.Duration // before each request outside a dialog is looked at
	RejectCredentials bool          // every password is wrong
	DeafToInvite      bool          // INVITE goes unanswered, all else works
}

// digits is a number in one form, however it was written; without a country it
// is taken for a German one.
func digits(number string) string {
	number = strings.TrimPrefix(number, "+")
	if rest, ok := strings.CutPrefix(number, "00"); ok {
		number = rest
	} else {
		number = national(number)
	}
	if i := strings.IndexByte(number, ';'); i >= 0 {
		number = number[:i]
	}
	return number
}
