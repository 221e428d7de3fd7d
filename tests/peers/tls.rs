//! TLS for real: Python's `ssl` on the other side, with a certificate that this test makes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Answers every POST with 202 and says its path and its key's header on standard output.
const SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print(self.path, self.headers["dd-api-key"], flush=True)
        self.send_response(202); self.send_header("content-length", "2"); self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Server {
    process: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: String,
    certificate: PathBuf,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
            ])
            // What signs itself by default may not be a server's certificate.
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let python = std::env::var("LLMOBS_PEERS_PYTHON").expect("LLMOBS_PEERS_PYTHON is set");
        let mut process = Command::new(python)
            .args(["-c", SERVER])
            .arg(&certificate)
            .arg(&key)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let stdout = process.stdout.take().expect("its output");
        let mut server = Self {
            process,
            lines: BufReader::new(stdout),
            port: String::new(),
            certificate,
        };
        server.port = server.line();
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// The example, sending to this server as to the intake; `trusted` by its certificate.
    fn run_mission(&self, trusted: bool) -> Output {
        let mut command = Command::new(env!("CARGO"));
        command
            .args([
                "run",
                "--quiet",
                "--package",
                "llmobs",
                "--example",
                "mission",
            ])
            .env(
                "DD_LLMOBS_OVERRIDE_ORIGIN",
                format!("https://localhost:{}", self.port),
            )
            .env("DD_LLMOBS_AGENTLESS_ENABLED", "1")
            .env("DD_API_KEY", "the-key");
        if trusted {
            command.env("SSL_CERT_FILE", &self.certificate);
        }
        command.output().expect("cargo runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn tls_reaches_a_server_that_is_trusted_and_no_other() {
    let folder = std::env::temp_dir().join(format!("llmobs-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut server = Server::start(&folder);

    let output = server.run_mission(false);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("0 of 1 spans"), "{told}");

    let output = server.run_mission(true);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("1 of 1 spans"), "{told}");
    // The first two requests that came through are those of the second run.
    let mut lines = [server.line(), server.line()];
    lines.sort();
    assert_eq!(
        lines,
        [
            "/api/intake/llm-obs/v2/eval-metric the-key",
            "/api/v2/llmobs the-key",
        ]
    );
    let _ = std::fs::remove_dir_all(folder);
}
