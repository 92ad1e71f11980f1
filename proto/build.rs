//! Compiles the protocol's definitions. No `protoc` is needed: protox reads them.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "array",
        "placing",
        "het",
        "types",
        "account",
        "reservation",
        "config",
        "log",
        "plan",
        "ctl",
        "node",
        "raft",
    ];
    let paths = files.map(|file| format!("proto/{file}.proto"));
    for path in &paths {
        println!("cargo:rerun-if-changed={path}");
    }
    let descriptors = protox::compile(&paths, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}
