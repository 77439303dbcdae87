//! The package as Python imports it: `python/tests`, run by pytest where there is a Python with what they need.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The built module, beside this test's own binary.
fn module() -> PathBuf {
    let beside = std::env::current_exe().unwrap();
    let folder = beside.parent().unwrap();
    let name = format!("{}sordino_python{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    folder.join(name)
}

#[test]
fn the_package_does_what_its_tests_say() {
    let python = std::env::var("SORDINO_PYTHON").unwrap_or_else(|_| "python3".into());
    let needs = "import numpy, pytest, sklearn, sys; assert sys.version_info >= (3, 10)";
    let there = Command::new(&python).args(["-c", needs]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no numpy, scikit-learn and pytest; SORDINO_PYTHON names another");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let home = tempfile::tempdir().unwrap();
    let package = home.path().join("sordino");
    std::fs::create_dir(&package).unwrap();
    for entry in std::fs::read_dir(root.join("python/sordino")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, package.join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::copy(module(), package.join("_sordino.abi3.so")).unwrap();
    let run = Command::new(&python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--doctest-glob=", "--rootdir"])
        .arg(&root)
        .arg(root.join("python/tests"))
        .env("PYTHONPATH", home.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}");
    println!("{said}");
}
