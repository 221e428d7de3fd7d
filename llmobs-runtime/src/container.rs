//! Which container this process runs in, so that an Agent can add the container's tags to what it
//! forwards.
//!
//! Read from `/proc` on Linux; elsewhere, and where nothing can be read, there is nothing to say.
//! It never fails.

/// The headers for an Agent; empty outside of a container.
pub(crate) fn headers() -> Vec<(&'static str, String)> {
    headers_from(&system::cgroup(), system::inode)
}

/// The id of the container, else the inode of its control group: an Agent can find the container by
/// either.
fn headers_from(
    cgroup: &str,
    inode: impl FnOnce(&str) -> Option<u64>,
) -> Vec<(&'static str, String)> {
    if let Some(id) = container_id(cgroup) {
        return vec![
            ("Datadog-Container-Id", id.to_owned()),
            ("Datadog-Entity-ID", format!("ci-{id}")),
        ];
    }
    let inode = unified_path(cgroup).and_then(inode);
    inode
        .map(|inode| ("Datadog-Entity-ID", format!("in-{inode}")))
        .into_iter()
        .collect()
}

/// The first container id in the text of `/proc/self/cgroup`, whose lines are
/// `hierarchy:controllers:path`.
fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.lines().filter_map(path).find_map(id_of_path)
}

/// The path in the unified hierarchy (cgroup v2), which has the number 0 and no controllers.
fn unified_path(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

fn path(line: &str) -> Option<&str> {
    let (hierarchy, rest) = line.split_once(':')?;
    let (_controllers, path) = rest.split_once(':')?;
    (!hierarchy.is_empty() && hierarchy.bytes().all(|byte| byte.is_ascii_digit())).then_some(path)
}

/// The id at the end of the last folder, which may have a prefix (`docker-`, `cri-containerd-`) and
/// systemd's `.scope`.
fn id_of_path(path: &str) -> Option<&str> {
    let folder = path.rsplit('/').next()?;
    let name = folder.strip_suffix(".scope").unwrap_or(folder);
    let forms = [ends_with_hash, ends_with_groups, ends_with_task];
    let id = forms.into_iter().find_map(|form| form(name))?;
    // Without a border the id is the rest of something else, as in `pod<uuid>`.
    let before = name[..name.len() - id.len()].bytes().next_back();
    before
        .is_none_or(|byte| !byte.is_ascii_alphanumeric())
        .then_some(id)
}

/// 64 hexadecimal digits: Docker, containerd, CRI-O, Podman, and Fargate's newer form.
fn ends_with_hash(name: &str) -> Option<&str> {
    tail(name, 64).filter(|id| is_hex(id))
}

/// A UUID (8-4-4-4-12), or Garden's five groups (8-4-4-4-4).
fn ends_with_groups(name: &str) -> Option<&str> {
    let grouped = |lengths: [usize; 5]| {
        let id = tail(name, lengths.iter().sum::<usize>() + 4)?;
        let groups = id.split(['-', '_']);
        (groups.clone().map(str::len).eq(lengths) && groups.clone().all(is_hex)).then_some(id)
    };
    grouped([8, 4, 4, 4, 12]).or_else(|| grouped([8, 4, 4, 4, 4]))
}

/// 32 hexadecimal digits, a dash and a number: ECS on Fargate.
fn ends_with_task(name: &str) -> Option<&str> {
    let (before, number) = name.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    tail(before, 32).filter(|id| digits && is_hex(id))?;
    tail(name, 32 + 1 + number.len())
}

fn tail(name: &str, length: usize) -> Option<&str> {
    name.get(name.len().checked_sub(length)?..)
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs::{self, File};
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    /// The host has its control groups in a namespace whose inode is fixed in the kernel.
    const HOST_NAMESPACE: u64 = 0xEFFF_FFFB;

    /// `/proc/self/cgroup`, at most 64 KiB of whole lines; empty when it cannot be read.
    pub(super) fn cgroup() -> String {
        const LIMIT: u64 = 64 * 1024;
        let mut bytes = Vec::new();
        let read = File::open("/proc/self/cgroup")
            .and_then(|file| file.take(LIMIT).read_to_end(&mut bytes));
        if read.is_ok_and(|length| length as u64 == LIMIT) {
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
            bytes.truncate(whole);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The inode of a control group, if it is the container's own and not one of the host.
    pub(super) fn inode(path: &str) -> Option<u64> {
        if fs::metadata("/proc/self/ns/cgroup").ok()?.ino() == HOST_NAMESPACE {
            return None;
        }
        // A path out of the namespace's root is relative to a folder that this process does not
        // see.
        if path.split('/').any(|folder| folder == "..") {
            return None;
        }
        let folder = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
        // 1 and 2 are the roots of a file system: the whole machine.
        fs::metadata(folder)
            .ok()
            .map(|folder| folder.ino())
            .filter(|&inode| inode > 2)
    }
}

/// Only Linux has control groups.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn cgroup() -> String {
        String::new()
    }

    pub(super) fn inode(_path: &str) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860";
    const UUID: &str = "34dc0b5e-626d-2c5c-4c51-70e34b10e765";
    const GARDEN: &str = "6f265890-5165-7fab-6b52-18d1";
    const TASK: &str = "432624d2150b349fe35ba397284dea78-1234567890";

    fn no_inode(_: &str) -> Option<u64> {
        None
    }

    #[test]
    fn an_id_ends_the_path_of_every_runtime() {
        for (id, path) in [
            (HASH, format!("/docker/{HASH}")),
            (HASH, format!("/system.slice/docker-{HASH}.scope")),
            (
                HASH,
                format!("/kubepods.slice/kubepods-pod{UUID}.slice/cri-containerd-{HASH}.scope"),
            ),
            (
                HASH,
                format!("/kubelet-kubepods-besteffort.slice:cri-containerd:{HASH}"),
            ),
            (HASH, format!("/machine.slice/libpod-{HASH}.scope")),
            (
                HASH,
                format!("/ecs/5a0d5ceddf6c44c1928d367a815d890f/{HASH}"),
            ),
            (
                TASK,
                format!("/ecs/432624d2150b349fe35ba397284dea78/{TASK}"),
            ),
            (UUID, format!("/fargate/{UUID}")),
            (
                GARDEN,
                format!("/system.slice/garden.service/garden/{GARDEN}"),
            ),
        ] {
            assert_eq!(
                container_id(&format!("11:blkio:{path}\n")),
                Some(id),
                "{path}"
            );
        }
    }

    #[test]
    fn the_first_line_with_an_id_counts() {
        let text = format!(
            "13:name=systemd:/\n12:pids:/user.slice\n1:cpu:/docker/{HASH}\n0::/docker/{UUID}\n"
        );
        assert_eq!(container_id(&text), Some(HASH));
    }

    #[test]
    fn nothing_else_is_taken_for_an_id() {
        let upper = HASH.to_uppercase();
        for path in [
            "/".to_owned(),
            "/user.slice/user-1000.slice/session-2.scope".to_owned(),
            format!("/docker/{}", &HASH[1..]),
            format!("/docker/a{HASH}"),
            format!("/docker/{upper}"),
            format!("/docker/{HASH}/init.scope"),
            format!("/kubepods/pod{UUID}"),
            format!("/ecs/{}", TASK.replace("-1234567890", "-")),
            "/é".repeat(40),
        ] {
            assert_eq!(container_id(&format!("0::{path}")), None, "{path}");
        }
        for text in ["", "\n", ":", "1", "1:x", "no numbers:cpu:/docker", "::::"] {
            assert_eq!(container_id(text), None);
        }
        assert_eq!(container_id(&format!("x:cpu:/docker/{HASH}")), None);
    }

    #[test]
    fn an_id_is_sent_as_container_and_as_entity() {
        let headers = headers_from(&format!("0::/docker/{HASH}"), |_| panic!("not asked for"));
        let entity = format!("ci-{HASH}");
        assert_eq!(
            headers,
            [
                ("Datadog-Container-Id", HASH.to_owned()),
                ("Datadog-Entity-ID", entity)
            ]
        );
    }

    #[test]
    fn without_an_id_the_inode_of_the_unified_group_is_the_entity() {
        let inode = |path: &str| (path == "/some/group").then_some(4711);
        let headers = headers_from("1:cpu:/other\n0::/some/group\n", inode);
        assert_eq!(headers, [("Datadog-Entity-ID", "in-4711".to_owned())]);
    }

    #[test]
    fn outside_of_a_container_there_are_no_headers() {
        assert!(headers_from("0::/user.slice", no_inode).is_empty());
        assert!(headers_from("1:cpu:/user.slice", |_| Some(4711)).is_empty());
        assert!(headers_from("", no_inode).is_empty());
    }

    #[test]
    fn this_machine_gives_headers_that_can_be_sent() {
        for (name, value) in headers() {
            assert!(name.starts_with("Datadog-"));
            assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_path_out_of_the_namespace_has_no_inode() {
        assert_eq!(system::inode("/../other"), None);
    }
}
