package number

// Style is a way to write a number.
type Style string

// The styles. The examples are a number in Munich seen from Germany.
const (
	// WithPlus is "+498912345620".
	WithPlus Style = "+E.164"
	// WithoutPlus is "498912345620".
	WithoutPlus Style = "E.164 without +"
	// WithArea is "08912345620", always with the area code; other countries
	// are written "0043…" with the international prefix.
	WithArea Style = "national"
	// WithZeros is "00498912345620": the international prefix also at home.
	WithZeros Style = "00 and E.164"
)
