package main

import (
	"io"
	"os"
	"testing"
)

// The same manifest and data as benches/render.rs.
func inputs(b *testing.B) (string, any) {
	manifest, err := os.ReadFile("../../benches/manifest.yaml")
	if err != nil {
		b.Fatal(err)
	}
	data, err := readData("../corpus/data.json")
	if err != nil {
		b.Fatal(err)
	}
	return string(manifest), data
}

func BenchmarkParse(b *testing.B) {
	manifest, _ := inputs(b)
	for b.Loop() {
		if _, err := parse(manifest); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	manifest, data := inputs(b)
	parsed, err := parse(manifest)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := parsed.Execute(io.Discard, data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndRender(b *testing.B) {
	manifest, data := inputs(b)
	for b.Loop() {
		parsed, err := parse(manifest)
		if err != nil {
			b.Fatal(err)
		}
		if err := parsed.Execute(io.Discard, data); err != nil {
			b.Fatal(err)
		}
	}
}
