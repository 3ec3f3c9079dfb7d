package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// field is a key of a mapping.
type field struct {
	Name  string
	Index []int
	Tag   reflect.StructTag
	Type  reflect.Type
}

type fields []field

// fieldsOf lists the keys of a struct.
func fieldsOf(t reflect.Type) fields {
	var out fields
	for f := range t.Fields() {
		if name := f.Tag.Get("yaml"); name != "" {
			out = append(out, field{name, f.Index, f.Tag, f.Type})
		}
	}
	return out
}

func (fs fields) find(name string) (field, bool) {
	for _, f := range fs {
		if f.Name == name {
			return f, true
		}
	}
	return field{}, false
}

func (fs fields) names() []string {
	out := make([]string, len(fs))
	for i, f := range fs {
		out[i] = f.Name
	}
	return out
}

// unknown says what was probably meant by a key that doesn't exist.
func (r *reader) unknown(k *yaml.Node, path string, keys fields) {
	name := shorten(k.Value)
	hint := ""
	if near := Nearest(k.Value, keys.names()); near != "" {
		hint = "did you mean " + near + "?"
	} else if homes := homesOf(k.Value); len(homes) > 0 && len(homes) <= 4 {
		hint = "there is " + strings.Join(homes, ", ")
	} else {
		hint = "known here: " + strings.Join(keys.names(), ", ")
	}
	r.fail(k, join(path, name), "unknown key", hint)
}

// homesOf lists the paths of the document whose last key is name.
func homesOf(name string) []string {
	var out []string
	for _, l := range leaves() {
		for p := l; p != ""; p = parent(p) {
			if p == name || strings.HasSuffix(p, "."+name) {
				if len(out) == 0 || out[len(out)-1] != p {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

func parent(path string) string {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return ""
	}
	return path[:i]
}

// leaves lists the paths of all single values of a site, "[]" after lists, in
// the order of the document.
func leaves() []string {
	var out []string
	walkType(reflect.TypeFor[Site](), "", func(path string, _ field) { out = append(out, path) })
	return out
}

// walkType visits each leaf of a struct. Lists and tables of single values are
// leaves themselves.
func walkType(t reflect.Type, path string, visit func(path string, f field)) {
	for _, f := range fieldsOf(t) {
		p := join(path, f.Name)
		switch {
		case isBranch(f.Type):
			walkType(f.Type, p, visit)
		case f.Type.Kind() == reflect.Slice && isBranch(f.Type.Elem()):
			walkType(f.Type.Elem(), p+"[]", visit)
		default:
			visit(p, f)
		}
	}
}

// isBranch says whether a type is a mapping of its own keys.
func isBranch(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0
}

func exampleKeys(keys fields) string {
	f := keys[0]
	for _, k := range keys {
		if !isBranch(k.Type) && k.Type.Kind() != reflect.Slice {
			f = k
			break
		}
	}
	return fmt.Sprintf("{%s: %s}", f.Name, exampleOf(f.Type, f.Tag))
}

func exampleOf(t reflect.Type, tag reflect.StructTag) string {
	switch {
	case isBranch(t):
		return exampleKeys(fieldsOf(t))
	case t.Kind() == reflect.Slice:
		return "[" + exampleOf(t.Elem(), tag) + "]"
	}
	return expect(t, tag).example
}

// Nearest is the word closest to text if it is close enough to be a slip.
func Nearest(text string, words []string) string {
	if len(text) > 40 {
		return ""
	}
	best, least := "", 3
	for _, w := range words {
		d := distance(strings.ToLower(text), w)
		if d < least && d*3 <= max(len(w), len(text)) {
			best, least = w, d
		}
	}
	return best
}

// distance counts the letters to add, drop, change or swap with their
// neighbour to come from a to b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := 1
			if x[i-1] == y[j-1] {
				change = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
