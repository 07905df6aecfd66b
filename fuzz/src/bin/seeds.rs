//! Writes the corpus that fuzzing starts from, to `corpus/TARGET/`.

fn main() -> std::io::Result<()> {
    for (target, seeds) in underpin_fuzz::seeds::seeds() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&folder)?;
        for (at, seed) in seeds.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{at}")), seed)?;
        }
    }
    Ok(())
}
