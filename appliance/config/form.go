package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"linekeeper/sbc/number"
)

// form is what a text must look like.
type form struct {
	what    string
	example string
	fits    func(string) bool
	advise  func(string) string // a better hint for a known slip; may be nil
}

func (f form) hintFor(text string) string {
	if f.advise != nil {
		if h := f.advise(text); h != "" {
			return h
		}
	}
	return "for example " + f.example
}

var (
	reExtension = regexp.MustCompile(`^[0-9]{2,8}$`)
	reShort     = regexp.MustCompile(`^[0-9]{2,8}$`)
	reBlocked   = regexp.MustCompile(`^\+?[0-9]{1,14}$`)
	reDial      = regexp.MustCompile(`^\+?[0-9*#]{1,32}$`)
	reOutside   = regexp.MustCompile(`^[0-9]{1,3}$`)
	reArea      = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	reWord      = regexp.MustCompile(`^[\pL\pN][\pL\pN ._-]{0,63}$`)
	reAccount   = regexp.MustCompile(`^[A-Za-z0-9+_][A-Za-z0-9@+._%~!*'()-]{0,127}$`)
	rePIN       = regexp.MustCompile(`^[0-9]{4,10}$`)
	reEmail     = regexp.MustCompile(`^[^@\s<>,;"]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
	reInterface = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_.-]{0,14}$`)
	reCodec     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,31}$`)
	reLabel     = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`)
	reListen    = regexp.MustCompile(`^(\[[0-9a-fA-F:]+\]|[0-9.]*):([0-9]{1,5})$`)
)

// formOf is the form of that name.
func formOf(name string) (form, bool) {
	f, ok := forms[name]
	return f, ok
}

var forms = map[string]form{
	"extension": {"an extension number of 2 to 8 digits", `"22"`, reExtension.MatchString, nil},
	"short":     {"a short number of 2 to 8 digits", `"112"`, reShort.MatchString, nil},
	"blocked":   {"the beginning of a number", `"0900"`, reBlocked.MatchString, nil},
	"dial":      {"a number as a user dials it", `"22" or "+4989999"`, reDial.MatchString, nil},
	"prefix":    {"a prefix of 1 to 3 digits", `"0"`, reOutside.MatchString, nil},
	"area":      {"an area code without its leading 0", `"89"`, reArea.MatchString, adviseArea},
	"word":      {"a name of letters and digits", `front`, reWord.MatchString, nil},
	"account":   {"an account name", `"22"`, reAccount.MatchString, nil},
	"pin":       {"a PIN of 4 to 10 digits", `"4711"`, rePIN.MatchString, nil},
	"email":     {"an e-mail address", `empfang@praxis.example`, reEmail.MatchString, nil},
	"interface": {"the name of a network interface", `eth0`, reInterface.MatchString, nil},
	"codec":     {"the name of a codec", `PCMA`, reCodec.MatchString, nil},
	"country":   {"the code of a country", `DE`, number.KnownCountry, adviseCountry},
	"timezone":  {"the name of a time zone", `Europe/Berlin`, isTimezone, nil},
	"domain":    {"a domain", `praxis.example`, isHost, nil},
	"hostport":  {"a host, with a port or without", `"stun.example:3478"`, isHostPort, nil},
	"file":      {"the absolute name of a file", `/etc/linekeeper/ca.pem`, isFile, nil},
	"https":     {"an https address", `https://controller.example`, isHTTPS, nil},
	"listen":    {"an address to listen on", `":8443"`, isListen, nil},
}

func adviseArea(text string) string {
	if bare := strings.TrimLeft(text, "0"); bare != text && reArea.MatchString(bare) {
		return `write "` + bare + `"`
	}
	return ""
}

func adviseCountry(text string) string {
	if up := strings.ToUpper(text); number.KnownCountry(up) {
		return "write " + up
	}
	return ""
}

func isTimezone(text string) bool {
	if text == "Local" || strings.Contains(text, "..") {
		return false
	}
	_, err := time.LoadLocation(text)
	return err == nil
}

// isHost says whether text is a host name (RFC 1123 2.1) or an address.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return !strings.Contains(text, "%")
	}
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if !reLabel.MatchString(label) {
			return false
		}
	}
	// What looks like an address and isn't one was meant to be one.
	last := text[strings.LastIndexByte(text, '.')+1:]
	return strings.Trim(last, "0123456789") != ""
}

func isHostPort(text string) bool {
	text = strings.TrimPrefix(text, "stun:")
	if isHost(text) {
		return true
	}
	_, host, port, err := splitURI("udp://" + text)
	return err == nil && port != 0 && isHost(host)
}

func isFile(text string) bool {
	return strings.HasPrefix(text, "/") && !strings.HasSuffix(text, "/")
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && isHost(u.Hostname()) && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func isListen(text string) bool {
	m := reListen.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	if m[1] != "" {
		_, err := netip.ParseAddrPort(text)
		return err == nil
	}
	_, err := netip.ParseAddrPort("0.0.0.0" + text)
	return err == nil
}
