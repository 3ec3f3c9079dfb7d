package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// place is where something stands in the document.
type place struct{ line, column int }

// reader fills a Site from the nodes of a document and collects what is wrong.
type reader struct {
	file  string
	found Problems
	// at has the place of every key and list entry that was written.
	at map[string]place
}

// full says that so much is wrong that reading on helps nobody.
func (r *reader) full() bool { return len(r.found) >= 5*maxProblems }

func (r *reader) add(s Severity, at place, path, text, hint string) {
	r.found = append(r.found, Problem{r.file, at.line, at.column, path, text, hint, s})
}

func (r *reader) fail(n *yaml.Node, path, text, hint string) {
	r.add(Error, place{n.Line, n.Column}, path, text, hint)
}

// written says whether the document has the path.
func (r *reader) written(path string) bool {
	_, ok := r.at[path]
	return ok
}

// where is the place of path, or of the nearest thing around it.
func (r *reader) where(path string) place {
	for {
		if p, ok := r.at[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return place{1, 1}
		}
		path = path[:i]
	}
}

// value reads n into v. The tag is that of the field that v or its list is.
func (r *reader) value(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(n, path, "aliases are not read", "write the value out")
		return
	case n.Anchor != "":
		r.fail(n, path, "anchors are not read", "take the &"+shorten(n.Anchor)+" away")
		return
	}
	_, text := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case text || v.Type() == reflect.TypeFor[Secret]():
		r.scalar(n, path, v, tag)
	case v.Kind() == reflect.Struct:
		r.mapping(n, path, v)
	case v.Kind() == reflect.Slice:
		r.list(n, path, v, tag)
	case v.Kind() == reflect.Map:
		r.table(n, path, v, tag)
	default:
		r.scalar(n, path, v, tag)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// pairs gives the keys and values of a mapping, refusing what is no plain key
// and what is there twice.
func (r *reader) pairs(n *yaml.Node, path string, use func(key, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content) && !r.full(); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Anchor != "" {
			r.fail(k, path, "a key must be a plain word", "")
			continue
		}
		if k.Value == "<<" && k.Style == 0 {
			r.fail(k, path, "mappings are not merged", "write the keys out")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			r.fail(k, join(path, shorten(k.Value)), fmt.Sprintf("the key is there twice, first in line %d", line), "")
			continue
		}
		seen[k.Value] = k.Line
		use(k, v)
	}
}

func (r *reader) mapping(n *yaml.Node, path string, v reflect.Value) {
	if isNull(n) {
		return // "groups:" with nothing behind it is the same as no key
	}
	keys := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "expected keys with values, found "+kindOf(n), "for example "+exampleKeys(keys))
		return
	}
	r.pairs(n, path, func(k, val *yaml.Node) {
		f, ok := keys.find(k.Value)
		if !ok {
			r.unknown(k, path, keys)
			return
		}
		p := join(path, k.Value)
		r.at[p] = place{val.Line, val.Column}
		if val.Line == 0 || isNull(val) {
			r.at[p] = place{k.Line, k.Column}
		}
		r.value(val, p, v.FieldByIndex(f.Index), f.Tag)
	})
	for _, f := range keys {
		p := join(path, f.Name)
		if f.Tag.Get("need") == "yes" && !r.written(p) {
			r.add(Error, place{n.Line, n.Column}, p, "is missing", "it must be written")
		}
	}
}

func (r *reader) list(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, "expected a list, found "+kindOf(n), `for example [`+exampleOf(v.Type().Elem(), tag)+`]`)
		return
	}
	most, _ := strconv.Atoi(tag.Get("most"))
	if len(n.Content) > most {
		r.fail(n.Content[most], path, fmt.Sprintf("%d entries are too many", len(n.Content)), fmt.Sprintf("at most %d", most))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		if r.full() {
			break
		}
		p := fmt.Sprintf("%s[%d]", path, i)
		r.at[p] = place{c.Line, c.Column}
		if d, ok := out.Index(i).Addr().Interface().(interface{ defaults() }); ok {
			d.defaults()
		}
		if isNull(c) {
			r.fail(c, p, "the entry has no value", "")
			continue
		}
		r.value(c, p, out.Index(i), tag)
	}
	v.Set(out)
}

// table reads a map from text to text.
func (r *reader) table(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	if isNull(n) {
		return
	}
	example := `for example {"700": "+4989999"}`
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "expected keys with values, found "+kindOf(n), example)
		return
	}
	most, _ := strconv.Atoi(tag.Get("most"))
	if len(n.Content)/2 > most {
		r.fail(n, path, fmt.Sprintf("%d entries are too many", len(n.Content)/2), fmt.Sprintf("at most %d", most))
		return
	}
	out := reflect.MakeMap(v.Type())
	r.pairs(n, path, func(k, val *yaml.Node) {
		p := join(path, k.Value)
		if f, ok := formOf(tag.Get("keyform")); ok && !f.fits(k.Value) {
			r.fail(k, join(path, shorten(k.Value)), fmt.Sprintf("%q is not %s", shorten(k.Value), f.what), "for example "+f.example)
			return
		}
		r.at[p] = place{val.Line, val.Column}
		e := reflect.New(v.Type().Elem()).Elem()
		r.value(val, p, e, tag)
		out.SetMapIndex(reflect.ValueOf(k.Value), e)
	})
	v.Set(out)
}

// scalar reads a single value.
func (r *reader) scalar(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) {
	e := expect(v.Type(), tag)
	hint := "for example " + e.example
	switch {
	case isNull(n):
		if e.empty {
			hint = `write "" or leave the key out`
		}
		r.fail(n, path, "has no value; expected "+e.what, hint)
		return
	case n.Kind != yaml.ScalarNode:
		r.fail(n, path, "expected "+e.what+", found "+kindOf(n), hint)
		return
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.ShortTag(), "!!"),
		n.ShortTag() == "!!binary", n.Style&yaml.TaggedStyle != 0:
		r.fail(n, path, "tags are not read", "take the "+shorten(n.Tag)+" away")
		return
	}
	if !e.takes(n) {
		found := kindOf(n)
		if e.text {
			hint = fmt.Sprintf("put it in quotes: %q", shorten(n.Value))
		}
		r.fail(n, path, fmt.Sprintf("expected %s, found %s", e.what, found), hint)
		return
	}
	if text, hint := e.set(v, n.Value, tag); text != "" {
		r.fail(n, path, text, hint)
		return
	}
	if text, hint := outOfRange(v, tag); text != "" {
		r.fail(n, path, text, hint)
	}
}

// outOfRange judges a number or duration by the min and max of its tag.
func outOfRange(v reflect.Value, tag reflect.StructTag) (text, hint string) {
	lo, hi := tag.Get("min"), tag.Get("max")
	if lo == "" && hi == "" {
		return "", ""
	}
	bad := false
	switch {
	case v.Type() == reflect.TypeFor[Duration]():
		// The tags are constants; a test reads every one of them.
		least, _ := time.ParseDuration(lo)
		most, _ := time.ParseDuration(hi)
		bad = v.Int() < int64(least) || v.Int() > int64(most)
	case v.CanInt():
		least, _ := strconv.ParseInt(lo, 10, 64)
		most, _ := strconv.ParseInt(hi, 10, 64)
		bad = v.Int() < least || v.Int() > most
	case v.CanFloat():
		least, _ := strconv.ParseFloat(lo, 64)
		most, _ := strconv.ParseFloat(hi, 64)
		bad = !(v.Float() >= least && v.Float() <= most) // NaN is in no range
	}
	if !bad {
		return "", ""
	}
	return fmt.Sprintf("%v is out of range", v.Interface()), fmt.Sprintf("from %s to %s", lo, hi)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "the truth value " + n.Value
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!timestamp":
		return "a date"
	}
	return fmt.Sprintf("the text %q", shorten(n.Value))
}

// shorten keeps a stranger's text from filling the screen.
func shorten(text string) string {
	const most = 40
	out := []rune(strings.ToValidUTF8(text, "?"))
	if len(out) > most {
		return string(out[:most]) + "…"
	}
	return string(out)
}
