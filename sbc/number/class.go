package number

// Class is how far an extension may call. Each class includes those before it.
type Class string

// The classes, in rising order.
const (
	Internal      Class = "internal"
	Local         Class = "local"
	National      Class = "national"
	International Class = "international"
)

// rank orders the classes; what isn't one ranks below all.
func (c Class) rank() int {
	switch c {
	case Internal:
		return 1
	case Local:
		return 2
	case National:
		return 3
	case International:
		return 4
	}
	return 0
}

// Covers says whether an extension of class c may make a call of class need.
// A class that doesn't exist covers nothing and is covered by none.
func (c Class) Covers(need Class) bool {
	return need.rank() > 0 && c.rank() >= need.rank()
}
