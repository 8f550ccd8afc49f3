// Command server answers every request with what the greeting program prints.
package main

import (
	"log"
	"net/http"
	"os/exec"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		greeting, err := exec.Command("/bin/greeting").Output()
		if err != nil {
			http.Error(response, err.Error(), http.StatusInternalServerError)
			return
		}
		response.Write(greeting)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
