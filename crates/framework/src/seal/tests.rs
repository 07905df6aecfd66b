mod fixture;
mod policy;
mod run;
