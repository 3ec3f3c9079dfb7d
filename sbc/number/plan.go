package number

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Meaning is what a dialled text stands for.
type Meaning int

// The meanings, in the order in which they are looked for.
const (
	// Nonsense can't be dialled.
	Nonsense Meaning = iota
	// Emergency goes out by the best way there is; nothing can bar it.
	Emergency
	// Extension is a number of the site: a phone or a group.
	Extension
	// Vacant has the length of an extension, and nobody has it.
	Vacant
	// Code is a star code of the provider.
	Code
	// Blocked is an outside number that the site bars.
	Blocked
	// Outside is a number that is reached through the provider.
	Outside
)

// String is the meaning's name.
func (m Meaning) String() string {
	switch m {
	case Nonsense:
		return "nonsense"
	case Emergency:
		return "emergency"
	case Extension:
		return "extension"
	case Vacant:
		return "vacant"
	case Code:
		return "code"
	case Blocked:
		return "blocked"
	case Outside:
		return "outside"
	}
	return "unknown"
}

// Plan is what a site adds to its country's number plan. It is read only once
// a Book was made of it.
type Plan struct {
	Country   string // ISO 3166-1, "DE"
	AreaCode  string // without its leading 0, "89"; empty: none
	Outside   string // dialled before outside numbers, "0"; empty: none
	Emergency []string
	Blocked   []string // beginnings, as dialled after the outside prefix, or "+…"
	Short     map[string]string
	// Extensions are the numbers inside, groups too, with the public number
	// that reaches each from outside, if any.
	Extensions map[string]E164
}

// Dialled is a dialled text understood.
type Dialled struct {
	Meaning Meaning
	// Text is what counts after short numbers and the outside prefix: the
	// emergency number, the extension, the star code, or the number outside.
	Text string
	// Number is the number outside in international form; empty where it has
	// none (service numbers such as 11833) and inside.
	Number E164
	// Class is what a phone must be allowed to dial it. It is empty for
	// emergency numbers and nonsense: no class bars the first or helps the second.
	Class Class
	// Privacy is what was dialled about the caller's own number for this call.
	Privacy Privacy
}

// Privacy is what a user wants for the own number in one call (CLIR, ETSI EN
// 300 738). Emergency calls never have any.
type Privacy uint8

// What can be wanted.
const (
	// AsSet leaves it to the phone and the line.
	AsSet Privacy = iota
	// Withheld was dialled as *31# before the number.
	Withheld
	// Shown was dialled as #31# before the number.
	Shown
)

// Withholds says whether the number is withheld where the phone wants it so or not.
func (p Privacy) Withholds(phone bool) bool { return p == Withheld || p == AsSet && phone }

// Book answers for one Plan. It is safe for concurrent use.
type Book struct {
	plan    Plan
	code    string // the country's calling code, "49"
	idd     string // dialled before another country's code, "00"
	trunk   string // dialled before the area code, "0"
	public  map[E164]string
	nanp    bool // area codes are dialled without the trunk prefix too
	longest int
}

const nanpDigits = 10 // of a number in North America with its area code

// NewBook makes a plan ready. It also does what would make the first call wait:
// the country's rules are compiled here.
func NewBook(p Plan) *Book {
	b := &Book{plan: p, idd: "00", public: map[E164]string{}}
	if c := phonenumbers.GetCountryCodeForRegion(p.Country); c != 0 {
		b.code = phonenumbers.Format(&phonenumbers.PhoneNumber{CountryCode: ptr(int32(c)), NationalNumber: ptr(uint64(0))}, phonenumbers.E164)
		b.code = strings.TrimSuffix(strings.TrimPrefix(b.code, "+"), "0")
	}
	if phonenumbers.IsNANPACountry(p.Country) {
		b.idd, b.nanp = "011", true
	}
	b.trunk = phonenumbers.GetNddPrefixForRegion(p.Country, true)
	for _, ext := range sortedKeys(p.Extensions) {
		b.longest = max(b.longest, len(ext))
		if pub := p.Extensions[ext]; pub != "" {
			if _, taken := b.public[pub]; !taken {
				b.public[pub] = ext
			}
		}
	}
	b.Dial(b.trunk + p.AreaCode + "1234567")
	b.Dial("+4989123456")
	return b
}

func ptr[T any](v T) *T { return &v }

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return out
}

// ExtensionLength is the length of the longest extension, the internal number
// length of the site.
func (b *Book) ExtensionLength() int { return b.longest }

// Dial says what a dialled text means. The order can't be configured:
// emergency, extension, star code, short number, vacant, blocked, outside.
func (b *Book) Dial(text string) Dialled {
	if len(text) > 2*maxDialed {
		return Dialled{}
	}
	bare := strip(text)
	if bare == "" || len(bare) > maxDialed {
		return Dialled{}
	}
	bare, privacy := cutPrivacy(bare)
	d := b.dial(bare)
	if d.Meaning != Nonsense && d.Meaning != Emergency {
		d.Privacy = privacy
	}
	return d
}

// Privacy is the same as that of Dial, without the work of understanding the number
// where nothing was dialled about it.
func (b *Book) Privacy(text string) Privacy {
	if len(text) > 2*maxDialed {
		return AsSet
	}
	if _, privacy := cutPrivacy(strip(text)); privacy == AsSet {
		return AsSet
	}
	return b.Dial(text).Privacy
}

// Emergency says whether Dial would say so.
func (b *Book) Emergency(text string) bool {
	if len(text) > 2*maxDialed {
		return false
	}
	bare := strip(text)
	if bare == "" || len(bare) > maxDialed {
		return false
	}
	bare, _ = cutPrivacy(bare)
	if _, ok := b.emergency(bare); ok {
		return true
	}
	_, short := b.plan.Short[bare]
	return short && b.dial(bare).Meaning == Emergency
}

// cutPrivacy takes the codes *31# and #31# off, as the fixed network in Germany
// and most of Europe has them: before the number, for this call alone. Before
// another code they are part of it.
func cutPrivacy(bare string) (string, Privacy) {
	for _, c := range [...]struct {
		code string
		mean Privacy
	}{{"*31#", Withheld}, {"#31#", Shown}} {
		if rest, ok := strings.CutPrefix(bare, c.code); ok && rest != "" && rest[0] != '*' && rest[0] != '#' {
			return rest, c.mean
		}
	}
	return bare, AsSet
}

func (b *Book) dial(bare string) Dialled {
	if d, ok := b.emergency(bare); ok {
		return d
	}
	if _, inside := b.plan.Extensions[bare]; inside {
		return Dialled{Meaning: Extension, Text: bare, Class: Internal}
	}
	if bare[0] == '*' || bare[0] == '#' {
		if !digitsOnly(strings.NewReplacer("*", "", "#", "", "+", "").Replace(bare) + "0") {
			return Dialled{}
		}
		return Dialled{Meaning: Code, Text: bare, Class: Internal}
	}
	if target, ok := b.plan.Short[bare]; ok {
		return b.short(strip(target))
	}
	return b.outside(bare)
}

// emergency also knows the number behind the outside prefix, and with the
// country code in front as some mobile users' phone books have it.
func (b *Book) emergency(bare string) (Dialled, bool) {
	for _, e := range b.plan.Emergency {
		if bare == e || b.plan.Outside != "" && bare == b.plan.Outside+e || b.code != "" && bare == "+"+b.code+e {
			return Dialled{Meaning: Emergency, Text: e}, true
		}
	}
	return Dialled{}, false
}

// short follows a short number once: its target is no short number again. It
// is written by the administrator, without the outside prefix or with it.
func (b *Book) short(target string) Dialled {
	if target == "" || len(target) > maxDialed {
		return Dialled{}
	}
	if d, ok := b.emergency(target); ok {
		return d
	}
	if _, inside := b.plan.Extensions[target]; inside {
		return Dialled{Meaning: Extension, Text: target, Class: Internal}
	}
	if target[0] == '*' || target[0] == '#' {
		return Dialled{Meaning: Code, Text: target, Class: Internal}
	}
	return b.outside(target)
}

// outside understands a number that leaves the site.
func (b *Book) outside(bare string) Dialled {
	dialled := bare
	if b.plan.Outside != "" && bare[0] != '+' {
		rest, ok := strings.CutPrefix(bare, b.plan.Outside)
		if !ok {
			return b.vacant(bare)
		}
		dialled = rest
	} else if len(bare) <= b.longest && !b.leaves(bare) {
		return b.vacant(bare)
	}
	if !digitsOnly(strings.TrimPrefix(dialled, "+")) {
		return Dialled{}
	}
	n := b.E164(dialled)
	d := Dialled{Meaning: Outside, Text: dialled, Number: n, Class: b.classOf(dialled, n)}
	if ext, ours := b.public[n]; ours && n != "" {
		return Dialled{Meaning: Extension, Text: ext, Number: n, Class: Internal}
	}
	if d.Class == "" {
		return Dialled{}
	}
	if b.blocked(dialled, n) {
		d.Meaning = Blocked
	}
	return d
}

func (b *Book) vacant(bare string) Dialled {
	if !digitsOnly(bare) {
		return Dialled{}
	}
	return Dialled{Meaning: Vacant, Text: bare, Class: Internal}
}

// leaves says whether a number is meant for outside however short it is.
func (b *Book) leaves(bare string) bool {
	return bare[0] == '+' || b.trunk != "" && strings.HasPrefix(bare, b.trunk) || strings.HasPrefix(bare, b.idd) || b.isService(bare)
}

// E164 is the number outside that the digits stand for at this site, empty if
// they stand for none. The outside prefix must be gone already.
func (b *Book) E164(dialled string) E164 {
	dialled = strip(dialled)
	if dialled == "" || len(dialled) > maxDialed || !digitsOnly(strings.TrimPrefix(dialled, "+")) {
		return ""
	}
	if dialled[0] != '+' && !strings.HasPrefix(dialled, b.idd) {
		switch {
		case b.trunk != "" && strings.HasPrefix(dialled, b.trunk):
		case b.isService(dialled), b.plan.AreaCode == "" && b.trunk != "" && !b.nanp:
			return ""
		case b.plan.AreaCode == "", b.nanp && len(dialled) == nanpDigits:
		default:
			dialled = b.trunk + b.plan.AreaCode + dialled // dialled inside the local area
		}
	}
	n, err := phonenumbers.Parse(dialled, b.plan.Country)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return ""
	}
	out := E164(phonenumbers.Format(n, phonenumbers.E164))
	if len(out) > 1+maxDigits {
		return ""
	}
	return out
}

// isService knows the short numbers that have no area: information services
// 118xx, and the harmonised 116xxx of the European Union.
func (b *Book) isService(dialled string) bool {
	switch {
	case b.code == "49" && strings.HasPrefix(dialled, "118") && (len(dialled) == 5 || len(dialled) == 6):
		return true
	}
	return b.isSocial(dialled)
}

// isSocial knows the numbers of social value: 116xxx of the European Union
// (116117 the doctor on call, 116116 to bar a bank card) and 115, the German
// authorities. They cost nothing or the price of a local call.
func (b *Book) isSocial(dialled string) bool {
	return strings.HasPrefix(dialled, "116") && len(dialled) == 6 && b.code != "1" || b.code == "49" && dialled == "115"
}

// classOf is what it takes to dial the number.
func (b *Book) classOf(dialled string, n E164) Class {
	switch {
	case n == "" && b.isSocial(dialled):
		return Local // the doctor on call and the like: nobody is barred from them who may phone at all
	case n == "" && b.isService(dialled):
		return National
	case n == "" && b.plan.AreaCode == "" && !b.leaves(dialled) && len(dialled) > 2:
		return Local // a local number at a site that doesn't say where it is: the provider knows
	case n == "":
		return ""
	case b.code == "" || !strings.HasPrefix(string(n), "+"+b.code):
		return International
	case b.code == "1" && !b.sameRegion(n):
		return International // +1 is many countries
	case b.plan.AreaCode != "" && strings.HasPrefix(string(n), "+"+b.code+b.plan.AreaCode):
		return Local
	}
	return National
}

func (b *Book) sameRegion(n E164) bool {
	p, err := phonenumbers.Parse(string(n), "")
	return err == nil && phonenumbers.GetRegionCodeForNumber(p) == b.plan.Country
}

// blocked compares with the barred beginnings in every form in which the
// number could have been dialled, so that +49900 is barred by 0900.
func (b *Book) blocked(dialled string, n E164) bool {
	forms := []string{dialled}
	if n != "" {
		forms = append(forms, string(n), b.idd+n.Digits())
		if national, home := strings.CutPrefix(string(n), "+"+b.code); home && b.code != "" {
			forms = append(forms, b.trunk+national)
		}
	}
	for _, bar := range b.plan.Blocked {
		for _, f := range forms {
			if bar != "" && strings.HasPrefix(f, bar) {
				return true
			}
		}
	}
	return false
}
