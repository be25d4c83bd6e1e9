// SPDX-License-Identifier: GPL-2.0-or-later

// goserver REQUESTS - an HTTP server that keeps what it is sent, in one process, and in
// another clients that send, ask again and compare. Go's runtime takes its memory from the
// kernel itself, gives parts of it back with madvise(), and marks it in threads of its own.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

const (
	keys    = 2000
	clients = 4
)

// Pointers for the collector to follow: a value is a tree of small pieces.
type node struct {
	left, right *node
	piece       []byte
}

func grow(data []byte) *node {
	if len(data) == 0 {
		return nil
	}
	n := len(data)
	if n > 64 {
		n = 64
	}
	half := n + (len(data)-n)/2
	return &node{grow(data[n:half]), grow(data[half:]), append([]byte(nil), data[:n]...)}
}

func (n *node) write(out *bytes.Buffer) {
	if n == nil {
		return
	}
	out.Write(n.piece)
	n.left.write(out)
	n.right.write(out)
}

type store struct {
	sync.RWMutex
	values map[string]*node
	puts   int
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		value := grow(body)
		s.Lock()
		s.values[r.URL.Path] = value
		s.puts++
		collect := s.puts%500 == 0
		s.Unlock()
		if collect {
			runtime.GC()
		}
		fmt.Fprintf(w, "%x", sha256.Sum256(body))
	case http.MethodGet:
		var out bytes.Buffer
		s.RLock()
		value := s.values[r.URL.Path]
		s.RUnlock()
		value.write(&out)
		w.Write(out.Bytes())
	}
}

func serve() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		// Ends with whoever started it.
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(listener, &store{values: map[string]*node{}})
}

func content(number int) []byte {
	random := rand.New(rand.NewSource(int64(number)))
	data := make([]byte, 200+random.Intn(12000))
	random.Read(data)
	return data
}

func ask(client *http.Client, method, url string, body []byte) ([]byte, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

func url(address string, number int) string {
	return "http://" + address + "/" + strconv.Itoa(number%keys)
}

// What was put at a key last, and by this client, since clients and keys go in step.
func client(address string, first, requests int, sums []string) error {
	client := &http.Client{Transport: &http.Transport{}}
	for number := first; number < requests; number += clients {
		data := content(number)
		answer, err := ask(client, http.MethodPut, url(address, number), data)
		if err != nil {
			return err
		}
		sums[number] = string(answer)
		if sums[number] != fmt.Sprintf("%x", sha256.Sum256(data)) {
			return fmt.Errorf("the server read something else for %d", number)
		}
		if number < keys {
			continue
		}
		older := number - keys + clients
		answer, err = ask(client, http.MethodGet, url(address, older), nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(answer, content(older)) {
			return fmt.Errorf("the server has something else for %d", older)
		}
	}
	return nil
}

func load(requests int) error {
	server := exec.Command("/proc/self/exe", "serve")
	input, err := server.StdinPipe()
	if err != nil {
		return err
	}
	output, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	var address string
	if _, err := fmt.Fscanln(output, &address); err != nil {
		return err
	}

	sums, results := make([]string, requests), make(chan error)
	for i := 0; i < clients; i++ {
		go func(first int) { results <- client(address, first, requests, sums) }(i)
	}
	for i := 0; i < clients; i++ {
		if err := <-results; err != nil {
			return err
		}
	}
	checker := &http.Client{}
	for number := requests - keys; number < requests; number++ {
		if number < 0 {
			continue
		}
		answer, err := ask(checker, http.MethodGet, url(address, number), nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(answer, content(number)) {
			return fmt.Errorf("the server has something else for %d at the end", number)
		}
	}
	input.Close()
	if err := server.Wait(); err != nil {
		return err
	}
	fmt.Printf("%d requests, %x\n", requests, sha256.Sum256([]byte(strings.Join(sums, ""))))
	return nil
}

func main() {
	var err error
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		err = serve()
	} else if len(os.Args) == 2 {
		var requests int
		if requests, err = strconv.Atoi(os.Args[1]); err == nil {
			err = load(requests)
		}
	} else {
		err = fmt.Errorf("usage: goserver REQUESTS")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "goserver:", err)
		os.Exit(1)
	}
}
