from ecpmon.cli import main

main()
